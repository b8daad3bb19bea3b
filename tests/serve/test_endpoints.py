"""What becomes a route, for whom, and what its fields may be; on a real server."""

from typing import Any

import pytest

from tests.servers.jac_server import JacServer

EVERY_TYPE = {
    "text": "a",
    "number": 1,
    "when": "2030-01-02T03:04:05",
    "shape": {"name": "line", "points": [{"x": 1}], "by_name": {"a": {"y": 2}}, "colour": "blue"},
    "shapes": [{"name": "dot"}],
    "corners": {"nw": {"x": 1}},
    "either": "one",
    "tags": ["b", "b"],
    "pair": [2, "y"],
    "anything": {"any": [1, None]},
}


def test_field_of_every_type_arrives_as_it_was_declared(api: JacServer) -> None:
    """Objects, enums, dates and numbers, alone, in lists, in dicts and in objects."""
    (types,) = api.call("/walker/every_type", **EVERY_TYPE).reports
    expected = {
        "text": "str",
        "number": "int",
        "raw": "bytes",
        "when": "datetime",
        "day": "date",
        "at": "time",
        "lasts": "timedelta",
        "key": "UUID",
        "price": "Decimal",
        "colour": "Colour",
        "level": "Level",
        "shape": "Shape",
        "point": "Point",
        "named": "Point",
        "in_list": "Shape",
        "corner": "Point",
        "either": "str",
        "tags": "set",
        "pair": "tuple",
        "made": "list",
    }
    assert expected == types


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        pytest.param("number", "one", ["number"], id="int"),
        pytest.param("key", "no uuid", ["key"], id="uuid"),
        pytest.param("when", "yesterday", ["when"], id="datetime"),
        pytest.param("shapes", [{"name": "a"}, {}], ["shapes", 1, "name"], id="list-of-obj"),
        pytest.param("corners", {"nw": {"x": "a"}}, ["corners", "nw", "x"], id="dict-of-obj"),
        pytest.param("level", 3, ["level"], id="int-enum"),
        pytest.param("pair", [1], ["pair", 1], id="tuple"),
        pytest.param("reports", [], ["reports"], id="not-of-the-app"),
    ],
)
def test_wrong_field_is_named_by_its_path(
    api: JacServer, field: str, value: Any, place: list[str | int]
) -> None:
    """However deep it is."""
    answer = api.call("/walker/every_type", **(EVERY_TYPE | {field: value}))
    assert 422 == answer.status
    assert ["body", *place] in [detail["loc"] for detail in answer.body["error"]["details"]]


def test_default_is_made_where_the_walker_runs(api: JacServer) -> None:
    """It sees the graph of its caller, and what it raises is an error of the app."""
    token = api.register("looks-around")
    assert [[0, True, "by default"]] == api.call("/walker/looks_around", token, odd=1).reports
    assert [[1, True, "by default"]] == api.call("/walker/looks_around", token, odd=1).reports
    failed = api.call("/walker/looks_around", token)
    assert (500, "EXECUTION_ERROR") == (failed.status, failed.code)
    assert "42" not in str(failed.body)
    described = api.get("/walker/looks_around", token=token).body["data"]["info"]["fields"]
    for name in ("known", "where", "odd"):
        assert (False, None) == (described[name]["required"], described[name]["default"])
    body = api.get("/openapi.json").body["components"]["schemas"]["looks_around_body"]
    assert not {"known", "where", "odd"} & set(body.get("required", []))
    assert not any("default" in body["properties"][name] for name in ("known", "where", "odd"))


def test_default_that_differs_each_time_is_told_to_nobody(api: JacServer) -> None:
    """It would be that of the start of the server."""
    body = api.get("/openapi.json").body["components"]["schemas"]["every_type_body"]
    assert "default" not in body["properties"]["fresh"]
    assert [1, 2] == body["properties"]["made"]["default"]
    assert ["text", "number"] == body["required"]
    first, second = (api.call("/walker/every_type", **EVERY_TYPE).result["fresh"] for _ in range(2))
    assert first != second


def test_description_knows_every_type(api: JacServer) -> None:
    """Formats, enums, nested objects with their docstrings, defaults."""
    schemas = api.get("/openapi.json").body["components"]["schemas"]
    fields = schemas["every_type_body"]["properties"]
    assert {"date": "2030-01-02", "at": "12:30:00", "lasts": "PT1H"} == {
        name: fields[field]["default"]
        for name, field in (("date", "day"), ("at", "at"), ("lasts", "lasts"))
    }
    formats = {name: fields[name].get("format") for name in ("day", "at", "lasts", "key")}
    assert {"day": "date", "at": "time", "lasts": "duration", "key": "uuid"} == formats
    assert ("blue", 1) == (fields["colour"]["default"], fields["level"]["default"])
    assert ["red", "blue"] == schemas["Colour"]["enum"]
    assert [1, 2] == schemas["Level"]["enum"]
    assert "A point in the plane." == schemas["Point"]["description"]
    assert "#/components/schemas/Shape" == fields["shapes"]["items"]["$ref"]
    assert "#/components/schemas/Point" == fields["corners"]["additionalProperties"]["$ref"]
    assert {"integer", "string"} == {kind["type"] for kind in fields["either"]["anyOf"]}


def test_docstring_describes_its_walker(api: JacServer) -> None:
    """As summary and as description."""
    call = api.get("/openapi.json").body["paths"]["/walker/every_type"]["post"]
    assert "Take a field of every type (public)" == call["summary"]
    assert "Take a field of every type." == call["description"]


@pytest.mark.parametrize(
    "path", ["/walker/mine", "/walker/guarded", "/walker/plain", "/function/mine_too"]
)
def test_only_pub_is_public(api: JacServer, path: str) -> None:
    """`:priv`, `:protect` and nothing at all mean the same."""
    assert (401, "UNAUTHORIZED") == ((answer := api.call(path)).status, answer.code)
    assert 200 == api.call(path, api.register(path[1:].replace("/", "-"))).status


def test_slash_at_the_end_changes_nothing(api: JacServer) -> None:
    """No redirect, after which a client would have to send its body once more; access is the same.

    A path with two of them is nobody's.
    """
    assert [["a", "b"]] == api.call("/walker/spell/", word="ab").reports
    assert "AB" == api.call("/function/shout/", word="ab").result
    assert 404 == api.call(f"/walker/spell/{'0' * 32}/", word="ab").status
    assert 401 == api.call("/walker/mine/").status
    assert 200 == api.get("/walkers/").status
    assert 405 == api.send("PUT", "/walker/spell/", {}).status
    assert "GET, POST" == api.send("PUT", "/walker/spell", {}).headers["Allow"]
    assert [404, 404] == [api.call(path).status for path in ("/walker/spell//", "/walker/none/")]


def test_imported_module_is_part_of_the_app(api: JacServer) -> None:
    """Its walkers and functions are routes with their own access; its imports are not."""
    assert [["a", "b"]] == api.call("/walker/spell", word="ab").reports
    assert "AB" == api.call("/function/shout", word="ab").result
    for path in ("/walker/hidden", "/function/whisper"):
        assert 401 == api.call(path, word="x").status


def test_name_with_an_underscore_is_no_route(api: JacServer) -> None:
    """Nor is anything that the app only imported."""
    names = {
        *api.get("/walkers").body["data"]["walkers"],
        *api.get("/functions").body["data"]["functions"],
    }
    assert set() == names & {"_internal", "_helper", "uuid4", "UploadFile", "jid", "root"}
    token = api.register("looks-inside")
    for path in ("/walker/_internal", "/function/_helper", "/function/uuid4", "/function/jid"):
        assert 404 == api.call(path, token).status


def test_introspection_is_that_of_jaclang(api: JacServer) -> None:
    """Lists are for everybody, descriptions for whoever may call."""
    described = api.get("/walker/every_type").body["data"]
    fields = described["info"]["fields"]
    assert {"type": "float", "required": False, "default": 0.5} == fields["share"]
    assert {"type": "list", "required": False, "default": [1, 2]} == fields["made"] | {
        "type": "list"
    }
    assert {"type": "str (node ID, optional)", "required": False, "default": "root"} == (
        fields["_jac_spawn_node"]
    )
    signature = api.get("/function/shout").body["data"]["signature"]
    word = {"type": "str", "required": True, "default": None}
    assert {"parameters": {"word": word}, "return_type": "str"} == signature
    for path in ("/walker/mine", "/function/whisper", "/walker/nothing", "/function/nothing"):
        assert 401 == api.get(path).status
    token = api.register("asks")
    assert [200, 200, 404, 404] == [
        api.get(path, token=token).status
        for path in ("/walker/mine", "/function/whisper", "/walker/nothing", "/function/nothing")
    ]


def test_asynchronous_calls_answer(api: JacServer) -> None:
    """Walkers and functions."""
    assert ["later"] == api.call("/walker/later", seconds=0.01).reports
    assert "later" == api.call("/function/later_too", seconds=0.01).result
