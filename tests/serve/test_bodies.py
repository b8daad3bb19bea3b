"""Odd requests, on a real server: each is refused before anything is stored."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.jac_server import Answer, JacServer

ODD = Path(__file__).parent / "apps" / "odd" / "odd.jac"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the app of odd things."""
    with JacServer(ODD, tmp_path_factory.mktemp("odd")) as running:
        yield running


def post(server: JacServer, path: str, text: str) -> Answer:
    """Send JSON as it is written."""
    return server.send("POST", path, raw=text.encode(), headers=JSON)


def places(answer: Answer) -> list[list[Any]]:
    """Return where a body does not fit."""
    assert (422, "VALIDATION_ERROR") == (answer.status, answer.code), answer.body
    return [detail["loc"] for detail in answer.body["error"]["details"]]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Bearer", id="scheme-alone"),
        pytest.param("Bearer ", id="scheme-and-blank"),
        pytest.param("", id="nothing"),
        pytest.param("Basic YTpi", id="another-scheme"),
        pytest.param("{token}", id="token-alone"),
        pytest.param("Token {token}", id="wrong-scheme"),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"{nope"], ids=["good-body", "bad-body"])
def test_header_without_a_token_makes_no_guest(
    server: JacServer, header: str, body: bytes, request: pytest.FixtureRequest
) -> None:
    """Whoever forgets `Bearer` must not write into the graph of the guests."""
    token = server.register(request.node.callspec.id)
    headers = JSON | {"Authorization": header.format(token=token)}
    before = server.call("/walker/notes").reports
    answer = server.send("POST", "/walker/note", raw=body, headers=headers)
    assert (401, "UNAUTHORIZED") == (answer.status, answer.code)
    assert 401 == server.send("GET", "/user/info", headers=headers).status
    assert before == server.call("/walker/notes").reports


def test_half_a_surrogate_pair_is_refused_with_its_field(server: JacServer) -> None:
    """Nothing behind the server could store or send it; a whole pair is one character."""
    before = server.call("/walker/notes").reports
    for text in ('{"name": "a\\ud800"}', '{"value": {"name": ["\\udfff"]}}', '{"\\ud800": 1}'):
        (place,) = places(post(server, "/walker/note", text))
        assert "body" == place[0]
    assert [["body", "name"]] == places(post(server, "/walker/note", '{"name": "\\ud800"}'))
    assert before == server.call("/walker/notes").reports
    assert ["\U0001f600"] == post(server, "/walker/note", '{"name": "\\ud83d\\ude00"}').reports


@pytest.mark.parametrize("path", ["/user/register", "/user/login"])
def test_half_a_surrogate_pair_is_in_no_name_and_no_password(server: JacServer, path: str) -> None:
    """Flat or not."""
    text = '{"username": "a\\ud800", "password": "correct horse"}'
    assert [["body", "username"]] == places(post(server, path, text))
    text = '{"username": "surrogate", "password": "correct horse\\udfff"}'
    assert [["body", "password"]] == places(post(server, path, text))


def test_null_is_a_body_without_fields(server: JacServer) -> None:
    """As no body is."""
    assert ["nobody"] == post(server, "/walker/note", "null").reports
    assert [["body", "first"], ["body", "second"]] == places(post(server, "/walker/needs", "null"))


def test_missing_body_is_told_by_its_missing_fields(server: JacServer) -> None:
    """The message names them."""
    answer = server.send("POST", "/walker/needs")
    assert [["body", "first"], ["body", "second"]] == places(answer)
    assert "body.first, body.second" in answer.body["error"]["message"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"value": ' + "[" * 5000 + "]" * 5000 + "}", id="deep"),
        pytest.param('{"value": ' + "9" * 9000 + "}", id="long-number"),
        pytest.param('{"value": ', id="half"),
        pytest.param("", id="blank"),
    ],
)
@pytest.mark.parametrize("path", ["/walker/needs", "/user/login"])
def test_what_is_no_json_is_refused_as_such(server: JacServer, path: str, text: str) -> None:
    """One code for all of it."""
    assert places(post(server, path, text))


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", f"1{'0' * 250}e99", "-1e999", '"NaN"']
)
def test_number_that_is_not_finite_is_refused(server: JacServer, number: str) -> None:
    """In a field, in a list, in an object; and in a field of any type unless it is text."""
    for text, place in (
        (f'{{"size": {number}}}', ["body", "size"]),
        (f'{{"sizes": [0, {number}]}}', ["body", "sizes", 1]),
        (f'{{"part": {{"size": {number}}}}}', ["body", "part", "size"]),
    ):
        assert [place] == places(post(server, "/walker/keep", text))
    answer = post(server, "/walker/note", f'{{"value": [{number}]}}')
    if number.startswith('"'):
        assert 200 == answer.status
    else:
        assert [["body", "value", 0]] == places(answer)


def test_bytes_come_back_as_they_were_sent(server: JacServer) -> None:
    """As base64, both ways, in an object too."""
    answer = server.call("/walker/keep", raw="AP8=", part={"raw": "AP8="})
    assert ["AP8=", "AP8="] == answer.reports[:2]
    assert [["body", "raw"]] == places(server.call("/walker/keep", raw="no base64!"))


@pytest.mark.parametrize("text", ["P1DT5.5S", "PT0S", "-PT5S"])
def test_duration_comes_back_as_it_was_sent(server: JacServer, text: str) -> None:
    """As ISO 8601, both ways."""
    assert text == server.call("/walker/keep", how_long=text).reports[2]


def test_node_of_another_class_is_refused_with_its_field(server: JacServer) -> None:
    """Also where it may be missing, or is one of a list; a subclass will do."""
    root, cat, dog = (found["_jac_id"] for found in server.call("/walker/make_animals").reports)
    assert ["cat"] == server.call("/walker/like", other=cat).reports
    assert ["dog"] == server.call("/walker/like", other=dog).reports
    assert [["body", "other"]] == places(server.call("/walker/like", other=root))
    reports = server.call("/walker/like_all", others=[dog, cat], maybe=cat).reports
    assert [["dog", "cat"], "cat"] == reports
    assert [["body", "maybe"]] == places(server.call("/walker/like_all", maybe=root))
    assert [["body", "others", 1]] == places(server.call("/walker/like_all", others=[dog, root]))
    assert 404 == server.call("/walker/like_all", others=["0" * 32]).status
    fields = server.get("/walker/like_all").body["data"]["info"]["fields"]
    assert ["list", "str | None"] == [fields[name]["type"] for name in ("others", "maybe")]


@pytest.mark.parametrize(
    ("change", "place", "supported"),
    [
        pytest.param(
            {"identities": [{"type": "telephone", "value": "112"}]},
            ["body", "identities", 0, "type"],
            "'username'",
            id="telephone",
        ),
        pytest.param(
            {"credential": {"type": "otp", "value": "correct horse"}},
            ["body", "credential", "type"],
            "'password'",
            id="one-time-password",
        ),
    ],
)
def test_registration_that_would_be_ignored_in_part_is_refused(
    server: JacServer, change: dict[str, Any], place: list[str | int], supported: str
) -> None:
    """The answer names what there is."""
    whole = {
        "identities": [{"type": "username", "value": "one"}],
        "credential": {"type": "password", "password": "correct horse"},
    }
    answer = post(server, "/user/register", json.dumps(whole | change))
    assert [place] == places(answer)
    assert supported in answer.body["error"]["details"][0]["msg"]


@pytest.mark.parametrize("path", ["/walker/nope", "/walker/nope/0", "/function/nope"])
def test_call_of_what_is_not_there_is_not_found(server: JacServer, path: str) -> None:
    """404, as for any other path; a description is told to those who may call."""
    answer = post(server, path, "{}")
    assert (404, "NOT_FOUND") == (answer.status, answer.code)
    token = server.register(f"asks{path.replace('/', '-')}")
    assert 404 == server.get(path, token=token).status


def test_answer_to_what_does_not_fit_is_short(server: JacServer) -> None:
    """However many fields there are, and however long their names: a few tell enough."""
    for fields in ({f"field-{n}": n for n in range(5000)}, {"x" * 100_000: 1}):
        for path in ("/walker/note", "/user/login"):
            answer = server.send("POST", path, fields)
            assert (422, "VALIDATION_ERROR") == (answer.status, answer.code)
            assert len(json.dumps(answer.body)) < 20_000


@pytest.mark.parametrize("path", ["/walker/note", "/user/login", "/walker/nobody", "/nowhere"])
def test_body_that_is_compressed_is_refused_as_such(server: JacServer, path: str) -> None:
    """It is not read as if it were plain, and the answer says how to send it."""
    raw = gzip.compress(b'{"name": "packed"}')
    before = server.call("/walker/notes").reports
    answer = server.send("POST", path, raw=raw, headers=JSON | {"Content-Encoding": "gzip"})
    assert (415, "UNSUPPORTED_MEDIA_TYPE") == (answer.status, answer.code)
    assert "identity" == answer.headers["Accept-Encoding"]
    assert before == server.call("/walker/notes").reports
    assert 200 == server.send("GET", "/walkers", headers={"Content-Encoding": "gzip"}).status


def test_body_in_another_charset_is_refused_as_such(server: JacServer) -> None:
    """JSON is UTF-8; who says so, or says nothing, is read."""
    for charset, status in (("utf-8", 200), ('"UTF-8"', 200), ("latin1", 415), ("nonsense", 415)):
        headers = {"Content-Type": f"application/json; charset={charset}"}
        answer = server.send("POST", "/walker/note", raw=b'{"name": "x"}', headers=headers)
        assert status == answer.status, charset


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "a/b/c"])
@pytest.mark.parametrize("path", ["/walker/note", "/user/login"])
def test_body_that_is_not_said_to_be_json_is_none(server: JacServer, path: str, kind: str) -> None:
    """The answer names what to send; a page of somebody else cannot send it unasked."""
    raw = b'{"username": "ann", "password": "correct horse"}'
    answer = server.send("POST", path, raw=raw, headers={"Content-Type": kind} if kind else {})
    assert (422, "VALIDATION_ERROR") == (answer.status, answer.code)
    assert "Content-Type: application/json" in answer.body["error"]["message"]


def test_body_that_is_too_large_is_answered(server: JacServer) -> None:
    """Though the client sends all of it before it reads."""
    large = b"x" * 9_000_000
    for raw in (large, iter([large])):
        answer = server.send("POST", "/walker/note", raw=raw, headers=JSON)
        assert (413, "BODY_TOO_LARGE") == (answer.status, answer.code)
