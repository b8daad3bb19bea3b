"""The same calls to `jac start` and `jac serve` give the same data, but for what is written down.

Each difference is one of docs/reference/differences.md, and asserted on both sides: where jaclang
changes its mind, a test says so.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.jac_server import Answer, JacServer
from tests.servers.jac_start import JacStart

APPS = Path(__file__).parent / "apps" / "twins"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"


@dataclass(frozen=True, slots=True)
class Twins:
    """Both servers, with one app."""

    theirs: JacServer
    ours: JacServer

    def call(self, path: str, who: str | None = None, /, **fields: Any) -> tuple[Answer, Answer]:
        """Make the same call to both."""
        theirs, ours = (
            server.call(path, None if who is None else account(server, who), **fields)
            for server in (self.theirs, self.ours)
        )
        return theirs, ours


_accounts: dict[tuple[int, str], str] = {}


def account(server: JacServer, name: str) -> str:
    """Return the token of an account, made when it is first needed."""
    key = (server.port, name)
    if key not in _accounts:
        body = {
            "identities": [{"type": "username", "value": name}],
            "credential": {"type": "password", "password": "correct horse"},
        }
        answer = server.send("POST", "/user/register", body)
        assert 201 == answer.status, answer.body
        _accounts[key] = answer.body["data"]["token"]
    return _accounts[key]


def twins(name: str, factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Serve one app twice."""
    app, folder = APPS / f"{name}.jac", factory.mktemp(name)
    with JacStart(app, folder / "theirs") as theirs, JacServer(app, folder / "ours") as ours:
        yield Twins(theirs, ours)


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Serve the app of values twice."""
    yield from twins("values", tmp_path_factory)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Serve the app of people twice."""
    yield from twins("people", tmp_path_factory)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Serve the app of files twice."""
    yield from twins("kept", tmp_path_factory)


def stripped(value: Any) -> Any:
    """Leave out what differs by its nature, ids, and what is a difference of all answers."""
    if isinstance(value, list):
        return [stripped(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: stripped(item) for key, item in value.items() if key != "_jac_id"}
    if kept.get("_jac_archetype") == "walker":
        kept.pop("reports", None)  # difference: reports-once
    return kept


VALUES: list[tuple[str, dict[str, Any]]] = [
    ("/walker/make", {"name": "a"}),
    ("/walker/make", {"name": "b", "size": 3, "tags": ["x"], "about": {"k": 1}, "maybe": "m"}),
    ("/walker/all_items", {}),
    ("/walker/names", {}),
    *(
        ("/walker/echo", {"value": value})
        for value in (1, 1.5, "ü", True, None, [1, [2]], {"a": 1})
    ),
    ("/walker/edges", {}),
    ("/walker/remove", {"name": "a"}),
    ("/walker/names", {}),
    ("/walker/nothing", {}),
    ("/walker/later_walker", {"n": 1}),
    ("/function/add", {"a": 1}),
    ("/function/add", {"a": 1, "b": 5}),
    ("/function/describe", {"item": {"b": 1, "a": 2}}),
    ("/function/point", {}),
    ("/function/nobody", {}),
    ("/function/later", {"n": 1}),
]


def test_values_are_the_same(values: Twins) -> None:
    """Nodes, objects, scalars and reports, of walkers and functions, sync and async."""
    for path, fields in VALUES:
        theirs, ours = values.call(path, **fields)
        assert (200, 200) == (theirs.status, ours.status), (path, fields, theirs.body, ours.body)
        assert stripped(theirs.body["data"]) == stripped(ours.body["data"]), (path, fields)
        assert theirs.body.keys() == ours.body.keys()


def test_scalars_are_the_same(values: Twins) -> None:
    """Each report, so that a failure names it."""
    theirs, ours = values.call("/walker/scalars")
    for one, other in zip(theirs.reports, ours.reports, strict=True):
        if other != "2030-01-02T03:04:05":  # difference: moments-are-iso
            assert stripped(one) == stripped(other)


def renamed(server: JacServer, *, in_path: bool) -> list[Any]:
    """Make an item and rename it, by its id in the path or in the body."""
    (item,) = server.call("/walker/make", name="first").reports
    id_ = item["_jac_id"]
    if in_path:
        return server.call(f"/walker/rename/{id_}", name="second").reports
    return server.call("/walker/rename", name="second", _jac_spawn_node=id_).reports


def test_walker_at_a_node_is_the_same(values: Twins) -> None:
    """With the id in the path."""
    expected = [["first", "second", ["first"]]]
    assert expected == renamed(values.theirs, in_path=True)
    assert expected == renamed(values.ours, in_path=True)


def test_descriptions_are_the_same(values: Twins) -> None:
    """The GET routes: names, fields, signatures."""
    for path in ("/walkers", "/functions"):
        key = path[1:]
        theirs, ours = (
            server.get(path).body["data"][key] for server in (values.theirs, values.ours)
        )
        assert set(ours) <= set(theirs)
        helpers = set(theirs) - set(ours)  # difference: own-functions-only
        assert not helpers or key == "functions"
    for path in ("/walker/make", "/function/add", "/function/point", "/function/nobody"):
        theirs_data, ours_data = (
            server.get(path).body["data"] for server in (values.theirs, values.ours)
        )
        assert theirs_data == ours_data


PEOPLE: list[tuple[str, str | None, dict[str, Any]]] = [
    ("/walker/put", "ann", {"text": "one"}),
    ("/walker/put", "ann", {"text": "two"}),
    ("/walker/mine", "ann", {}),
    ("/walker/mine", "bob", {}),
    ("/walker/whoever", None, {}),
    ("/walker/whoever", "ann", {}),
    ("/walker/outer", "ann", {}),
    ("/walker/path", "eve", {}),
    ("/walker/stops", "eve", {}),
    ("/function/count", "ann", {}),
    ("/function/give", "ann", {"text": "for all", "level": 0}),
    ("/function/publish", "ann", {"text": "published"}),
    ("/function/publish", "bob", {"text": "bob's"}),
    ("/function/commons", None, {}),
    ("/function/commons", "bob", {}),
    ("/function/threads", "ann", {}),
    ("/function/allow", "ann", {}),
    ("/function/take_back", "ann", {}),
    ("/function/judged", "ann", {"open": True}),
    ("/function/judged", "ann", {"open": False}),
    ("/walker/put", "bob", {"text": "three"}),
    ("/walker/mine", "bob", {}),
]


def test_people_see_the_same(people: Twins) -> None:
    """Roots, grants, nested walkers, visits, threads, the shared root."""
    for path, who, fields in PEOPLE:
        theirs, ours = people.call(path, who, **fields)
        assert (200, 200) == (theirs.status, ours.status), (path, who, theirs.body, ours.body)
        # difference: no-warning-for-an-edge-that-was-allowed
        warned = theirs.body["data"].pop("warnings", [])
        assert path.endswith("publish") or not warned
        assert stripped(theirs.body["data"]) == stripped(ours.body["data"]), (path, who, fields)


FILES: list[tuple[str, dict[str, Any]]] = [
    ("/walker/read", {"name": "a/one.txt"}),
    ("/walker/look", {"name": "a/one.txt"}),
    ("/walker/look", {"name": "a"}),
    ("/walker/names", {}),
    ("/walker/names", {"folder": "a"}),
    ("/walker/names", {"deep": True}),
    ("/walker/names", {"folder": "none", "deep": True}),
    ("/walker/change", {"verb": "copy", "name": "a/one.txt", "other": "b/two.txt"}),
    ("/walker/change", {"verb": "move", "name": "b/two.txt", "other": "three.txt"}),
    ("/walker/change", {"verb": "copy", "name": "none", "other": "more"}),
    ("/walker/change", {"verb": "move", "name": "none", "other": "more"}),
    ("/walker/change", {"verb": "delete", "name": "none"}),
    ("/walker/names", {"deep": True}),
    ("/walker/change", {"verb": "delete", "name": "a"}),
    ("/walker/names", {"deep": True}),
]


def test_files_are_the_same(kept: Twins) -> None:
    """Written, read, listed, copied, moved, removed; but for what `upload` returns."""
    kept.call("/walker/keep", name="a/one.txt", text="héllo")
    for path, fields in FILES:
        theirs, ours = kept.call(path, **fields)
        assert (200, 200) == (theirs.status, ours.status), (path, fields, theirs.body, ours.body)
        # Of a folder, the size is the file system's own.
        theirs_told, ours_told = (
            [size_left_out(one) for one in it.reports] for it in (theirs, ours)
        )
        assert theirs_told == ours_told, (path, fields)


def told_by(answer: Answer) -> list[Any]:
    """Return the reports, without sizes of folders."""
    return [size_left_out(report) for report in answer.reports]


def size_left_out(report: Any) -> Any:
    """Leave out the size of a folder."""
    is_folder = isinstance(report, list) and len(report) == 3 and report[1] is True
    return report[1:] if is_folder else report


def difference(name: str) -> None:
    """Assert that the page has it."""
    assert f"### {name}\n" in PAGE.read_text()


def test_difference_reports_once(values: Twins) -> None:
    """The stock server sends every report twice."""
    difference("reports-once")
    theirs, ours = values.call("/walker/echo", value=1)
    assert [1] == theirs.result["reports"]
    assert "reports" not in ours.result


def test_difference_errors_are_no_success(values: Twins) -> None:
    """The stock server answers 200, with the traceback."""
    difference("errors-are-no-success")
    theirs, ours = values.call("/walker/fails")
    assert 200 == theirs.status
    assert "Traceback" in theirs.body["data"]["traceback"]
    assert (500, "EXECUTION_ERROR") == (ours.status, ours.code)
    assert "42" not in str(ours.body)


def test_difference_fields_are_checked(values: Twins) -> None:
    """The stock server passes on whatever it gets."""
    difference("fields-are-checked")
    theirs, ours = values.call("/function/add", a="1", c=3)
    assert 200 == theirs.status
    assert "unexpected keyword" in str(theirs.body)
    assert (422, "VALIDATION_ERROR") == (ours.status, ours.code)


def test_difference_text_becomes_its_type(values: Twins) -> None:
    """A number as text is a number where a number is wanted."""
    difference("text-becomes-its-type")
    theirs, ours = values.call("/function/add", a="1", b="2")
    assert ("12", 3) == (theirs.result, ours.result)


def test_difference_moments_are_iso(values: Twins) -> None:
    """The stock server sends str() of them in reports."""
    difference("moments-are-iso")
    theirs, ours = values.call("/walker/scalars")
    assert "2030-01-02 03:04:05" in theirs.reports
    assert "2030-01-02T03:04:05" in ours.reports
    theirs, ours = values.call("/walker/odd_values")
    *others, length = theirs.reports
    assert [*others, "P1DT2S"] == ours.reports
    assert "1 day, 0:00:02" == length


def test_difference_edges_say_that_they_are(values: Twins) -> None:
    """The stock server knows of nodes and walkers alone."""
    difference("edges-say-that-they-are")
    theirs, ours = (stripped(one.reports) for one in values.call("/walker/an_edge"))
    assert ["archetype", "edge"] == [one[0]["_jac_archetype"] for one in (theirs, ours)]
    assert theirs[0] | {"_jac_archetype": "edge"} == ours[0]


def test_difference_defaults_of_nobody(values: Twins) -> None:
    """The stock server makes them where there is no call."""
    difference("defaults-of-nobody")
    theirs, ours = (server.get("/walker/looks_around") for server in (values.theirs, values.ours))
    told = [one.body["data"]["info"]["fields"]["known"]["default"] for one in (theirs, ours)]
    assert [0, None] == told
    assert [[True], [True]] == [one.reports for one in values.call("/walker/looks_around")]


def test_difference_spawn_node_in_the_body(values: Twins) -> None:
    """The stock server describes the field and does not read it."""
    difference("spawn-node-in-the-body")
    assert [] == renamed(values.theirs, in_path=False)
    assert [["first", "second", ["first"]]] == renamed(values.ours, in_path=False)


def test_difference_no_warning_for_an_edge_that_was_allowed(people: Twins) -> None:
    """The stock server warns whoever connects to a root that is not theirs."""
    difference("no-warning-for-an-edge-that-was-allowed")
    theirs, ours = people.call("/function/publish", "fay", text="hello")
    assert "warnings" in theirs.body["data"]
    assert "warnings" not in ours.body["data"]


@pytest.mark.parametrize(
    ("kind", "ours_sends"), [("set", [1]), ("bytes", "YWI="), ("numbers", {"1": "one"})]
)
def test_difference_values_json_has_not(values: Twins, kind: str, ours_sends: Any) -> None:
    """The stock server sends their text, or nothing."""
    difference("values-json-has-not")
    theirs, ours = values.call("/walker/odd_scalars", kind=kind)
    assert [ours_sends] == ours.reports
    assert kind == "numbers" or [ours_sends] != theirs.reports


def test_difference_no_root_of_the_system(people: Twins) -> None:
    """The stock server counts its own root among those of people."""
    difference("no-root-of-the-system")
    theirs, ours = people.call("/function/roots", "ann")
    assert theirs.result == ours.result + 1


def test_difference_allroots_shows_what_may_be_read(people: Twins) -> None:
    """The stock server shows some of them twice, and at times those of others."""
    difference("allroots-shows-what-may-be-read")
    private = {f"{name}'s own" for name in ("gil", "ida", "jim")}
    for text in sorted(private):
        people.call("/walker/put", text[:3], text=text)
    people.call("/function/give", "gil", text="gil's for all", level=0)
    theirs, ours = people.call("/function/open_notes", "hal")
    assert not private & {*ours.result}
    assert 1 == ours.result.count("gil's for all") < theirs.result.count("gil's for all")


def test_difference_files_have_names_not_paths(kept: Twins) -> None:
    """What the stock server returns is found by no client, and not by `download` either."""
    difference("files-have-names-not-paths")
    theirs, ours = kept.call("/walker/keep", name="d/x.txt", text="x")
    assert (["storage/d/x.txt"], ["d/x.txt"]) == (theirs.reports, ours.reports)
    theirs, ours = kept.call("/walker/link", name="d/x.txt")
    assert theirs.reports[0].startswith("file:///")
    assert b"x" == kept.ours.get(ours.reports[0]).body


def test_difference_files_stay_in_their_folder(kept: Twins) -> None:
    """The stock server writes where the name leads."""
    difference("files-stay-in-their-folder")
    theirs, ours = kept.call("/walker/keep", name="../outside.txt", text="x")
    assert (200, 422) == (theirs.status, ours.status)
    assert (kept.theirs.file.parent / "outside.txt").exists()
    assert not (kept.ours.file.parent / "outside.txt").exists()


def test_difference_own_functions_only(values: Twins) -> None:
    """The stock server lists, and calls, what jaclang itself is made of."""
    difference("own-functions-only")
    theirs, ours = (
        set(server.get("/functions").body["data"]["functions"])
        for server in (values.theirs, values.ours)
    )
    assert {"destroy", "field"} <= theirs
    assert {"add", "describe", "point", "nobody", "later", "stream"} == ours


def test_difference_unauthorized_has_the_envelope(people: Twins) -> None:
    """As every other refusal."""
    difference("unauthorized-has-the-envelope")
    theirs, ours = people.call("/walker/mine")
    assert (401, 401) == (theirs.status, ours.status)
    assert {"error": "Unauthorized"} == theirs.body
    assert "UNAUTHORIZED" == ours.code


def test_difference_nodes_are_read_with_a_right(people: Twins) -> None:
    """The stock server starts a walker at anybody's node, and shows what is not granted."""
    difference("nodes-are-read-with-a-right")
    people.call("/walker/put", "dan", text="dan's secret")
    found = []
    for server in (people.theirs, people.ours):
        token = account(server, "dan")
        root = server.get("/user/info", token=token).body["data"]["root_id"]
        found.append(server.call(f"/walker/mine/{root}", account(server, "eve")))
    theirs, ours = found
    assert 200 == theirs.status
    assert (404, "NOT_FOUND") == (ours.status, ours.code)


def events(server: JacServer, n: int) -> str:
    """Read a stream up to its last event; the stock server keeps the connection open after it."""
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=20)) as connection:
        kind = {"Content-Type": "application/json"}
        connection.request("POST", "/function/stream", json.dumps({"n": n}), kind)
        answer = connection.getresponse()
        text = ""
        while "event:" not in text or not text.endswith("\n\n"):
            text += answer.readline().decode()
        answer.close()
    return text


def test_difference_errors_in_streams(values: Twins) -> None:
    """Both send the items of a generator as the same events; a failure differs in its text."""
    difference("errors-in-streams")
    assert events(values.theirs, 2).replace('": ', '":') == events(values.ours, 2)
    assert "the secret is 42" in events(values.theirs, -1)
    assert "42" not in events(values.ours, -1)


def test_every_difference_of_the_page_has_a_test() -> None:
    """And none has two names."""
    told = [line[4:] for line in PAGE.read_text().splitlines() if line.startswith("### ")]
    tested = Path(__file__).read_text()
    assert [] == [name for name in told if f'difference("{name}")' not in tested]
    assert len(set(told)) == len(told)
