"""Values come back as they were, and walkers may do what jaclang documents; on a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.jac_server import JacServer
from tests.servers.process import ServerFailed

RIGHTS = Path(__file__).parent / "apps" / "rights" / "rights.jac"
READ, CONNECT, WRITE = 0, 1, 2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the app of rights."""
    with JacServer(RIGHTS, tmp_path_factory.mktemp("rights")) as running:
        yield running


def test_value_of_every_type_comes_back_as_it_was(server: JacServer) -> None:
    """Equal, and of the same type, however deep it is."""
    server.call("/walker/store_everything")
    lost, parts, colours, keys, numbers = server.call("/walker/check_everything").reports
    assert [] == lost
    assert [True, True] == parts
    assert {"Colour", "UUID", "int"} == {*colours, *keys, *numbers}


def test_field_that_holds_what_it_was_not_declared_for_survives(server: JacServer) -> None:
    """A restart is when it would show."""
    server.call("/walker/store_everything")
    server.terminate()
    server.start()
    assert [] == server.call("/walker/check_everything").reports[0]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("Callable", "Callable has no form"),
        ("Callable | None = None", "has no form"),
        ("list[TextIOWrapper] = []", "TextIOWrapper has no form"),
        ("dict[str, Lock] | None = None", "Lock has no form"),
        ("deque | None = None", "deque has no form"),
        ("Name | None = None", "Name has no form"),
        ("threading.Lock", "field held of Bad cannot be stored"),
        ("callable", "field held of Bad cannot be stored: callable has no form"),
        ("Iterator[int] | None = None", "field held of Bad cannot be stored: Iterator has no form"),
        ("Inner | None = None", "field file of Inner cannot be stored: TextIOWrapper has no form"),
    ],
)
def test_field_that_cannot_be_stored_is_named_at_the_start(
    tmp_path: Path, field: str, told: str
) -> None:
    """No call has to fail first."""
    app = tmp_path / "bad.jac"
    app.write_text(
        "import from collections { deque }\n"
        "import from collections.abc { Callable, Iterator }\n"
        "import threading;\n"
        "import from io { TextIOWrapper }\n"
        "import from multiprocessing.synchronize { Lock }\n"
        "class Name(str) {}\n"
        "obj Inner { has file: TextIOWrapper; }\n"
        f"node Bad {{ has held: {field}; }}\n"
    )
    server = JacServer(app, tmp_path / "served")
    with pytest.raises(ServerFailed), server:
        pass
    assert told in server.log_text()
    assert "Traceback" not in server.log_text()


def test_inner_walkers_report_into_the_outer_one(server: JacServer) -> None:
    """In order, and what they wrote is stored with it."""
    ann = server.register("nest-ann")
    assert ["before", "one", 0, "two", "after"] == server.call("/walker/outer", ann).reports
    assert [["one", "two"]] == server.call("/walker/notes", ann).reports


def test_flow_belongs_to_its_caller(server: JacServer) -> None:
    """Each thread of the call sees, and writes to, the root of whoever called."""
    ann = server.register("flow-ann")
    assert [[True] * 4] == server.call("/walker/flowing", ann).reports
    (notes,) = server.call("/walker/notes", ann).reports
    assert [f"note {i}" for i in range(4)] == sorted(notes)


def test_shared_root_is_that_of_anonymous_callers(server: JacServer) -> None:
    """Everybody may read it and add to it; what they add is theirs, and closed until granted."""
    ann, bob = server.register("shared-ann"), server.register("shared-bob")
    assert [True, False] == [
        server.call("/function/is_shared", token).result for token in (None, ann)
    ]
    server.call("/function/publish", ann, text="for all", level=READ)
    server.call("/function/publish", ann, text="for ann")
    seen = [server.call("/function/commons", token).result for token in (ann, bob, None)]
    assert [["for all", "for ann"], ["for all"], ["for all"]] == seen
    answer = server.call("/function/rename_on_commons", bob, text="bob's")
    assert ["field_write"] == [one["operation"] for one in answer.body["data"]["warnings"]]
    assert ["for all", "for ann"] == server.call("/function/commons", ann).result


def test_grant_to_everybody_and_to_one(server: JacServer) -> None:
    """`grant`, `allow_root` and their ends, for one node each."""
    ann, bob, eve = (server.register(f"grant-{name}") for name in ("ann", "bob", "eve"))
    bobs_root = server.call("/function/my_root", bob).result
    id_ = server.call("/function/make", ann, text="secret").result
    assert [404, 404] == [server.call(f"/walker/look/{id_}", token).status for token in (bob, eve)]
    server.call("/function/share_with", ann, id=id_, target=bobs_root, level=READ)
    assert [200, 404] == [server.call(f"/walker/look/{id_}", token).status for token in (bob, eve)]
    assert "warnings" in server.call(f"/walker/relabel/{id_}", bob, text="b").body["data"]
    server.call("/function/share_with", ann, id=id_, target=bobs_root, level=WRITE)
    assert "warnings" not in server.call(f"/walker/relabel/{id_}", bob, text="bob's").body["data"]
    assert ["bob's"] == server.call(f"/walker/look/{id_}", ann).reports
    server.call("/function/stop_sharing", ann, id=id_, target=bobs_root)
    assert 404 == server.call(f"/walker/look/{id_}", bob).status
    open_ = server.call("/function/make", ann, text="open", level=READ).result
    assert [["open"]] * 2 == [
        server.call(f"/walker/look/{open_}", token).reports for token in (bob, eve)
    ]


def test_class_with_a_rule_of_its_own_is_asked(server: JacServer) -> None:
    """`__jac_access__` decides for everybody but the owner."""
    ann, bob = server.register("rule-ann"), server.register("rule-bob")
    ids = [
        server.call("/function/make_guarded", ann, text=text, open=text == "open").result
        for text in ("open", "shut")
    ]
    assert [200, 404] == [server.call(f"/walker/look/{id_}", bob).status for id_ in ids]
    assert [200, 200] == [server.call(f"/walker/look/{id_}", ann).status for id_ in ids]


def test_allroots_gives_each_root_once_and_shows_what_was_granted(server: JacServer) -> None:
    """Those of others look empty but for that."""
    before = server.call("/function/number_of_roots", server.register("all-first")).result
    ann, bob = server.register("all-ann"), server.register("all-bob")
    server.call("/function/make", ann, text="all ann's own")
    server.call("/function/make", ann, text="all for everybody", level=READ)
    assert before + 2 == server.call("/function/number_of_roots", bob).result
    texts = [text for own in server.call("/function/everybody", bob).result for text in own]
    assert "all for everybody" in texts
    assert "all ann's own" not in texts
