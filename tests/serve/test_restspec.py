"""`@restspec`: methods, paths, queries, forms and files; on a real server."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.servers.jac_server import Answer, JacServer

BOUNDARY = "the-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    """Return one part of a form."""
    more = f'; filename="{filename}"' if filename else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def send_form(server: JacServer, path: str, *parts: bytes, token: str | None = None) -> Answer:
    """Send a form."""
    raw = b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
    return server.send("POST", path, raw=raw, headers=FORM, token=token)


def test_fields_come_from_path_and_query(api: JacServer) -> None:
    """Each as the type it has; objects as JSON, lists item by item."""
    query = f"status=open&limit=3&tags=a&tags=b&level=2&since=2030-01-02&near={quote('{"x": 4}')}"
    answer = api.get(f"/users/ann%20b/orders?{query}")
    expected = {
        "user": "ann b",
        "status": "open",
        "limit": 3,
        "tags": ["a", "b"],
        "level": True,
        "since": "2030-01-02",
        "near": 4,
    }
    assert [expected] == answer.reports


def test_query_may_be_left_out(api: JacServer) -> None:
    """Then fields have their defaults."""
    (report,) = api.get("/users/ann/orders").reports
    assert ("all", 10, [], None) == (
        report["status"],
        report["limit"],
        report["tags"],
        report["near"],
    )


def test_limits_of_a_field_count(api: JacServer) -> None:
    """What `Annotated` says is checked and described, wherever the field is."""
    assert [[10, "ab", [0, 1]]] == api.get("/limited?many=10&word=ab&marks=0&marks=1").reports
    for answer, place in [
        (api.call("/walker/limited", word="four"), ["body", "word"]),
        (api.call("/function/limited_too", share=0), ["body", "share"]),
    ]:
        assert (422, place) == (answer.status, answer.body["error"]["details"][0]["loc"])
    assert "0.5" == api.call("/function/limited_too", share=0.5).result
    (node,) = api.call("/walker/keep_note", text="by its id").reports
    assert "by its id" == api.call("/function/limited_too", share=1, at=node).result
    described = api.get("/openapi.json").body
    many = described["paths"]["/limited"]["get"]["parameters"][0]
    assert ("many", "How many.") == (many["name"], many["description"])
    assert (1, 10) == (many["schema"]["minimum"], many["schema"]["maximum"])
    body = described["components"]["schemas"]["limited_body"]["properties"]
    assert {"maximum": 10, "minimum": 1, "description": "How many."}.items() <= body["many"].items()
    signature = api.get("/function/limited_too").body["data"]["signature"]
    assert "float" == signature["parameters"]["share"]["type"]


def test_number_of_a_choice_is_read_as_one(api: JacServer) -> None:
    """A query is text, and so is a key of a dict; the answer comes back as it was sent."""
    answer = api.get("/sizes/2?more=1&more=2&other=1&factor=10")
    assert [["LARGE", ["SMALL", "LARGE"], "Size.SMALL", 10]] == answer.reports
    (kept,) = api.get("/sizes/1").reports
    assert ["SMALL", [], "None", 1] == kept
    counted = api.call("/function/by_size", counts={"2": 5}).result
    assert {"1": 1, "2": 6} == counted
    assert {"1": 2, "2": 7} == api.call("/function/by_size", counts=counted).result


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/users/ann/orders?limit=many", ["query", "limit"]),
        ("/sizes/3", ["path", "size"]),
        ("/limited?many=11", ["query", "many"]),
        ("/limited?marks=1&marks=-1", ["query", "marks", 1]),
        ("/sizes/1?more=1&more=LARGE", ["query", "more", 1]),
        ("/users/ann/orders?near=%7B", ["query", "near"]),
        ("/users/ann/orders?near=%7B%22x%22:%22a%22%7D", ["query", "near", "x"]),
        ("/users/ann/orders?level=9", ["query", "level"]),
    ],
)
def test_wrong_query_is_refused_with_its_place(api: JacServer, path: str, place: list[str]) -> None:
    """As a wrong body is."""
    answer = api.get(path)
    assert (422, [place]) == (
        answer.status,
        [detail["loc"] for detail in answer.body["error"]["details"]],
    )


def test_all_that_is_wrong_is_told_at_once(api: JacServer) -> None:
    """What is no JSON, and what does not fit."""
    answer = api.get("/users/ann/orders?near=%7B&limit=many")
    places = sorted(detail["loc"][1] for detail in answer.body["error"]["details"])
    assert ["limit", "near"] == places
    form = send_form(
        api, "/walker/upload", part("file", b"x", "a"), part("at", b"{"), part("other", b"x")
    )
    places = sorted(detail["loc"][1] for detail in form.body["error"]["details"])
    assert ["at", "other"] == places


def test_path_and_body_make_one_call(api: JacServer) -> None:
    """A number in a path is a number; what is in the path is not in the body."""
    put = api.send("PUT", "/shelves/a/books/7", {"title": "Emma"})
    assert ["a", 7, "Emma", 1] == put.result
    for body, place in (
        ({"title": "Emma", "number": 8}, ["body", "number"]),
        ({}, ["body", "title"]),
        ({"title": "Emma", "more": 1}, ["body", "more"]),
    ):
        answer = api.send("PUT", "/shelves/a/books/7", body)
        assert 422 == answer.status
        assert [place] == [detail["loc"] for detail in answer.body["error"]["details"]]
    answer = api.send("PUT", "/shelves/a/books/x", {"title": "Emma"})
    assert [["path", "number"]] == [detail["loc"] for detail in answer.body["error"]["details"]]


def test_restspec_keeps_the_token(api: JacServer) -> None:
    """A path of one's own is as private as the walker."""
    assert 401 == api.send("DELETE", "/shelves/a").status
    assert ["a"] == api.send("DELETE", "/shelves/a", token=api.register("clears")).reports


def test_walker_with_a_path_of_its_own_keeps_the_one_of_its_name(api: JacServer) -> None:
    """That is what jaclang's client calls."""
    (report,) = api.call("/walker/orders", user_id="ann", limit=2).reports
    assert ("ann", 2) == (report["user"], report["limit"])


def test_subclass_has_no_path_of_its_base(api: JacServer) -> None:
    """Two walkers would want one path."""
    paths = api.get("/openapi.json").body["paths"]
    assert "/walker/orders_again" in paths
    assert "walker_orders_get" == paths["/users/{user_id}/orders"]["get"]["operationId"]


def test_get_walker_starts_at_the_node_of_its_path(api: JacServer) -> None:
    """Or of its query; other methods are told as such."""
    (note,) = api.call("/walker/keep_note", text="here").reports
    assert ["here"] == api.get(f"/walker/look/{note}").reports
    assert ["here"] == api.get(f"/walker/look?_jac_spawn_node={note}").reports
    assert [5] == api.get("/walker/look?n=5").reports
    answer = api.send("PATCH", "/walker/look", {})
    assert (405, "METHOD_NOT_ALLOWED") == (answer.status, answer.code)


def test_description_tells_where_fields_go(api: JacServer) -> None:
    """In path, query, form or body."""
    paths = api.get("/openapi.json").body["paths"]
    parameters = paths["/users/{user_id}/orders"]["get"]["parameters"]
    places = {one["name"]: one["in"] for one in parameters}
    assert {"user_id": "path", "limit": "query", "near": "query"} == {
        name: places[name] for name in ("user_id", "limit", "near")
    }
    put = paths["/shelves/{shelf}/books/{number}"]["put"]
    assert ["shelf", "number"] == [one["name"] for one in put["parameters"]]
    (media,) = paths["/walker/upload"]["post"]["requestBody"]["content"]
    assert "multipart/form-data" == media


def test_file_is_streamed_to_the_walker(api: JacServer) -> None:
    """Beyond a megabyte it is on disk; other fields come along as text."""
    content = b"0123456789abcdef" * 200_000
    answer = send_form(
        api,
        "/walker/upload",
        part("file", content, "big.bin"),
        part("label", b"large"),
        part("numbers", b"1"),
        part("numbers", b"2"),
        part("at", b'{"x": 3}'),
    )
    expected = {
        "name": "big.bin",
        "size": len(content),
        "label": "large",
        "numbers": [1, 2],
        "x": 3,
        "on_disk": True,
    }
    assert [expected] == answer.reports
    assert {"filename": "big.bin", "content_type": None, "size": len(content)} == (
        answer.result["file"]
    )


def test_upload_costs_no_memory(api: JacServer) -> None:
    """The process grows by far less than what it was sent."""
    send_form(api, "/walker/upload", part("file", b"warm", "a"))
    before = resident(api)
    with ThreadPoolExecutor(4) as pool:
        form = part("file", b"x" * 18_000_000, "a")
        answers = list(pool.map(lambda _: send_form(api, "/walker/upload", form), range(4)))
    assert [200] * 4 == [answer.status for answer in answers]
    assert resident(api) - before < 30_000_000


def resident(server: JacServer) -> int:
    """Return the most memory that the server had, in bytes."""
    (line,) = [
        line
        for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) * 1024


def test_many_files_are_a_list(api: JacServer) -> None:
    """And one that may be left out is None."""
    files = [part("files", b"a", "a.txt"), part("files", b"b", "b.txt")]
    assert [["a.txt", "b.txt"], True] == send_form(api, "/walker/upload_many", *files).reports
    maybe = part("maybe", b"c", "c.txt")
    answer = send_form(api, "/walker/upload_many", *files, maybe)
    assert [["a.txt", "b.txt"], False] == answer.reports


def test_file_is_read_again_by_a_call_that_runs_again(api: JacServer) -> None:
    """A lost race costs no byte of it."""
    form = part("file", b"x" * 1000, "a")
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: send_form(api, "/walker/upload_and_count", form), range(12))
        )
    sizes = [answer.reports for answer in answers if answer.status == 200]
    assert sizes
    assert [[1000]] * len(sizes) == sizes


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        pytest.param((part("label", b"a"),), ["body", "file"], id="missing"),
        pytest.param((part("file", b"a"),), ["body", "file"], id="no-file"),
        pytest.param(
            (part("file", b"a", "a"), part("label", b"a", "b")), ["body", "label"], id="a-file"
        ),
        pytest.param((part("file", b"a", "a"), part("more", b"a")), ["body", "more"], id="unknown"),
        pytest.param(
            (part("file", b"a", "a"), part("numbers", b"x")), ["body", "numbers", 0], id="type"
        ),
    ],
)
def test_wrong_form_is_refused_with_its_place(
    api: JacServer, parts: tuple[bytes, ...], place: list[str]
) -> None:
    """By the name of the field."""
    answer = send_form(api, "/walker/upload", *parts)
    assert 422 == answer.status
    assert [place] == [detail["loc"] for detail in answer.body["error"]["details"]]


@pytest.mark.parametrize("raw", [b"", b"no form", b"--the-boundary\r\nnonsense"])
def test_form_that_is_none_is_refused(api: JacServer, raw: bytes) -> None:
    """Whatever it is instead."""
    assert 422 == api.send("POST", "/walker/upload", raw=raw, headers=FORM).status
    assert 422 == api.send("POST", "/walker/upload", {"file": "x"}).status


def test_upload_has_a_limit_of_its_own(api: JacServer) -> None:
    """No other call may send as much."""
    large = b"x" * 300_000
    assert 200 == send_form(api, "/walker/upload", part("file", large, "a")).status
    assert 413 == api.call("/function/shout", word=large.decode()).status
    too_large = FORM | {"Content-Length": "20000001"}
    assert 413 == api.send("POST", "/walker/upload", raw=b"", headers=too_large).status


def test_path_without_fields_comes_before_one_with(tmp_path: Path) -> None:
    """Whatever the names of their walkers; a websocket's before the nodes of another one."""
    app = tmp_path / "paths.jac"
    app.write_text(
        '@restspec(method="GET", path="/users/{name}")\n'
        "walker:pub a { has name: str; can go with Root entry { report self.name; } }\n"
        '@restspec(method="GET", path="/users/me")\n'
        'walker:pub b { can go with Root entry { report "oneself"; } }\n'
    )
    with JacServer(app, tmp_path / "served") as server:
        assert [["oneself"], ["ann"]] == [
            server.get(path).reports for path in ("/users/me", "/users/ann")
        ]


def test_page_is_asked_for_by_query(tmp_path: Path) -> None:
    """Page after page, by the cursor of the one before; one that there is not is a 422."""
    app = tmp_path / "pages.jac"
    app.write_text(
        "import from jac_converge.pages { page }\n"
        "node Thing { has n: int = 0; }\n"
        "walker:pub add { can go with Root entry {\n"
        "    for n in range(5) { here ++> Thing(n=n); }\n"
        "} }\n"
        '@restspec(method="GET", path="/things")\n'
        'walker:pub things { has limit: int = 2, cursor: str = ""; can go with Root entry {\n'
        "    found = page(here, Thing, limit=self.limit, cursor=self.cursor);\n"
        '    report {"n": [one.n for one in found["items"]], "next": found["next"]};\n'
        "} }\n"
    )
    with JacServer(app, tmp_path / "served") as server:
        server.call("/walker/add")
        seen: list[list[int]] = []
        cursor: str | None = ""
        while cursor is not None:
            (report,) = server.get(f"/things?cursor={cursor}").reports
            seen.append(report["n"])
            cursor = report["next"]
        assert [[0, 1], [2, 3], [4]] == seen
        for query in ("limit=0", "limit=1001", "cursor=x"):
            answer = server.get(f"/things?{query}")
            assert (422, "BAD_PAGE") == (answer.status, answer.code)
