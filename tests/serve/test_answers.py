"""Odd answers, on a real server: what cannot be sent is not stored either."""

import http.client
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.servers.jac_server import JacServer
from tests.servers.process import ServerFailed

ODD = Path(__file__).parent / "apps" / "odd" / "odd.jac"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the app of odd things."""
    with JacServer(ODD, tmp_path_factory.mktemp("odd")) as running:
        yield running


@pytest.fixture(scope="module")
def openapi(server: JacServer) -> dict[str, Any]:
    """Give the description of the app."""
    described: dict[str, Any] = server.get("/openapi.json").body
    return described


@pytest.mark.parametrize(
    "kind", ["function", "ring", "half", "half_key", "two_keys", "file", "deep", "tree"]
)
def test_report_without_a_form_is_refused_and_nothing_stored(server: JacServer, kind: str) -> None:
    """The answer is made before the commit."""
    before = server.call("/walker/notes").reports
    answer = server.call("/walker/odd_report", kind=kind)
    assert (500, "UNSUPPORTED_VALUE") == (answer.status, answer.code)
    message = answer.body["error"]["message"]
    assert "0x" not in message
    assert (kind in ("deep", "tree")) == ("more than 200 levels deep cannot be sent" in message)
    assert before == server.call("/walker/notes").reports


@pytest.mark.parametrize(
    "path",
    [
        "/walker/leave",
        "/walker/leave_async",
        "/walker/leave_in_a_task",
        "/function/leave_function",
    ],
)
def test_call_that_exits_ends_no_server(server: JacServer, path: str) -> None:
    """It is an error of the app, and nothing is stored."""
    before = server.call("/walker/notes").reports
    answer = server.call(path)
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    assert "raised SystemExit" in answer.body["error"]["message"]
    assert before == server.call("/walker/notes").reports
    assert 500 == server.call(path).status


KINDS = [
    "CancelledError", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseExceptionGroup",
    "OwnEnd",
]  # fmt: skip

GROUP = "/walker/ending_async group"
PLACES = [
    "/function/ending_function",
    "/function/ending_function_async",
    *(f"/walker/ending {how}" for how in ("here", "flow", "inner")),
    *(f"/walker/ending_async {how}" for how in ("here", "task", "group", "cancel")),
]


@pytest.mark.parametrize(
    ("place", "kind"),
    # A group takes no notice of a task of its own that was cancelled.
    [it for it in product(PLACES, KINDS) if it != (GROUP, "CancelledError")],
)
def test_whatever_a_call_raises_is_an_error_of_the_app(
    server: JacServer, place: str, kind: str
) -> None:
    """Also what no `except Exception` sees: it has the envelope, and the server lives on."""
    before = server.call("/walker/notes").reports
    path, _, how = place.partition(" ")
    answer = server.call(path, kind=kind, **({"how": how} if how else {}))
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    assert " raised " in answer.body["error"]["message"]
    assert "42" not in str(answer.body)
    assert before == server.call("/walker/notes").reports
    assert f"{path.rpartition('/')[2]} raised" in server.log_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["effect", "effect_async"])
def test_whatever_an_effect_raises_denies_no_answer(server: JacServer, how: str, kind: str) -> None:
    """The commit stands."""
    (before,) = server.call("/walker/notes").reports
    assert 200 == server.call("/walker/ending", kind=kind, how=how).status
    assert [before + 1] == server.call("/walker/notes").reports


def test_number_that_is_not_finite_is_null(server: JacServer) -> None:
    """JSON has no other form for it."""
    assert [[None, None, 1.5]] == server.call("/walker/odd_numbers").reports


def test_value_that_json_has_not_is_sent_as_documented(server: JacServer) -> None:
    """As text or as a number; keys are text."""
    values, texts, keys = server.call("/walker/odd_values").reports
    assert ["/a/b", "(1+2j)", "1.10", "1/4", "eA=="] == values
    assert ["10.0.0.1", "UTC", "a+"] == texts
    assert {"1": "a", "[1, 2]": "b", "None": "c", "x": "d"} == keys


def test_what_pydantic_makes_of_a_text_is_sent_as_one(server: JacServer) -> None:
    """A walker that takes it is a part of its own answer; a secret is not."""
    sent = {"host": "10.0.0.2", "url": "https://a.example/x", "like": "a+", "word": "hush"}
    answer = server.call("/walker/texts", **sent)
    assert ["hush"] == answer.reports
    assert sent | {"word": "*" * 10} == {name: answer.result[name] for name in sent}


def test_dict_of_known_keys_is_checked(server: JacServer) -> None:
    """As any other type is."""
    home = {"street": "Elm", "number": 5}
    assert home == server.call("/walker/texts", home=home).result["home"]
    answer = server.call("/walker/texts", home={"street": "Elm", "number": "five"})
    places = [detail["loc"] for detail in answer.body["error"]["details"]]
    assert (422, [["body", "home", "number"]]) == (answer.status, places)


def test_function_in_a_field_is_left_out(server: JacServer) -> None:
    """A walker may keep what nobody else needs."""
    answer = server.call("/walker/callbacks")
    assert ["done"] == answer.reports
    assert "act" not in answer.result


def test_model_of_pydantic_is_sent_as_it_is_taken(server: JacServer) -> None:
    """In a field, in a list, and in a report; a secret in it stays one."""
    line = {"price": "1.50", "day": "2030-01-02"}
    order = {"orderNumber": 7, "lines": [line], "code": "**********"}
    answer = server.call("/walker/takes_model")
    assert [[line], order] == answer.reports
    assert (order, []) == (answer.result["order"], answer.result["orders"])
    answer = server.call("/walker/takes_model", order=order, orders=[{"orderNumber": 8}])
    assert [order, 7, 8] == [
        answer.result["order"],
        answer.reports[1]["orderNumber"],
        answer.result["orders"][0]["orderNumber"],
    ]
    assert 422 == server.call("/walker/takes_model", order={"orderNumber": "none"}).status


def test_object_in_a_field_is_the_same_each_time(server: JacServer) -> None:
    """It has no id of its own, unlike the node it is in."""
    first, second = (server.call("/walker/wholes").reports[0] for _ in range(2))
    assert first == second
    assert "_jac_id" in first
    assert {"_jac_type", "_jac_archetype", "size", "raw"} == first["part"].keys()


def test_edge_says_that_it_is_one(server: JacServer) -> None:
    """As nodes and walkers do."""
    (edge,) = server.call("/walker/edges").reports
    assert ("edge", "Knows", 3) == (edge["_jac_archetype"], edge["_jac_type"], edge["since"])


def test_function_that_no_body_fits_is_left_out_with_a_line(
    server: JacServer, openapi: dict[str, Any]
) -> None:
    """Its arguments would be dropped in silence."""
    assert "many" not in server.get("/functions").body["data"]["functions"]
    assert "/function/many" not in openapi["paths"]
    (line,) = [line for line in server.log_text().splitlines() if "many" in line]
    assert "*numbers" in line


def test_description_names_models_after_what_they_are_of(openapi: dict[str, Any]) -> None:
    """The names end up in generated clients."""
    names = openapi["components"]["schemas"]
    assert {"needs_body", "needs_data", "needs_response", "leave_function_body"} <= names.keys()
    assert [] == [name for name in names if "jac_converge" in name]


def test_description_of_an_obj_has_room_for_what_it_is(
    server: JacServer, openapi: dict[str, Any]
) -> None:
    """In an answer it has more than its fields; what is sent has not."""
    result = server.call("/function/same_part", part={"size": 2.0}).result
    assert {"_jac_type", "_jac_archetype", "size", "raw"} == set(result)
    schemas = openapi["components"]["schemas"]
    answered, sent = (
        schemas[schemas[model]["properties"][name]["$ref"].rpartition("/")[2]]
        for model, name in (("same_part_data", "result"), ("same_part_body", "part"))
    )
    assert answered.get("additionalProperties", True)
    assert not sent["additionalProperties"]
    assert answered["properties"].keys() == sent["properties"].keys()


def test_description_knows_one_form_of_failure(openapi: dict[str, Any]) -> None:
    """FastAPI's own is never sent."""
    assert "HTTPValidationError" not in str(openapi)


def test_description_tells_of_bytes_and_leaves_out_what_is_no_json(
    openapi: dict[str, Any], server: JacServer
) -> None:
    """A default that is infinite is allowed, and cannot be told."""
    properties = openapi["components"]["schemas"]["defaults_body"]["properties"]
    assert "base64" in str(properties["raw"])
    assert "default" not in properties["limit"]
    assert "/w==" == server.call("/function/defaults").result


def test_app_that_exits_while_it_loads_is_named(tmp_path: Path) -> None:
    """With what it said, and exit code 1."""
    app = tmp_path / "leaving.jac"
    app.write_text("import sys;\n\nwith entry {\n    sys.exit(7);\n}\n")
    server = JacServer(app, tmp_path / "served")
    with pytest.raises(ServerFailed), server:
        pass
    assert "leaving.jac load failed" in server.log_text()
    assert "sys.exit(7)" in server.log_text()


@pytest.mark.parametrize(
    ("what", "status", "code", "message"),
    [
        ("teapot", 418, "ERROR", "no coffee here"),
        ("value", 400, "BAD_REQUEST", "Bad Request"),
        ("obj", 400, "BAD_REQUEST", "Bad Request"),
        ("no_json", 400, "BAD_REQUEST", "Bad Request"),
        ("half", 400, "BAD_REQUEST", "half ?"),
        ("moved", 302, "ERROR", "over there"),
        ("framed", 400, "BAD_REQUEST", "longer"),
    ],
)
def test_app_says_a_status_of_its_own(
    server: JacServer, what: str, status: int, code: str, message: str
) -> None:
    """With its text or value, and its headers."""
    answer = server.call("/walker/says", what=what)
    assert (status, code) == (answer.status, answer.code)
    assert message == answer.body["error"]["message"]
    part = {"_jac_type": "Part", "_jac_archetype": "archetype", "size": 2.0, "raw": ""}
    expected = {"value": {"field": "a", "wrong": [1, 2]}, "obj": [part]}
    assert expected.get(what) == answer.body["error"].get("details")
    assert (answer.headers["Location"] == "/there") == (what == "moved")
    assert (answer.headers["X-More"] == "yes") == (what == "framed")


def test_app_may_say_nothing(server: JacServer) -> None:
    """A 204 has no body: what followed it would begin the next answer."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    statuses = []
    for _ in range(2):
        body, headers = json.dumps({"what": "empty"}), {"Content-Type": "application/json"}
        connection.request("POST", "/walker/says", body, headers)
        answer = connection.getresponse()
        statuses.append((answer.status, answer.read()))
    connection.close()
    assert [(204, b""), (204, b"")] == statuses


@pytest.mark.parametrize("what", ["too_high", "too_low", "two_headers", "no_text"])
def test_what_no_answer_can_have_is_a_mistake_of_the_app(server: JacServer, what: str) -> None:
    """The connection used to end without an answer."""
    answer = server.call("/walker/says", what=what)
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    assert "secret" not in answer.body["error"]["message"]
    assert answer.headers["Set-Cookie"] is None
