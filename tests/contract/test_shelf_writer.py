"""The one writer of a shelf: what stays of a commit that loses, and how it ends."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from jac_converge.app_runtime.stores import Conflict, Document, Unavailable, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf

TOGETHER, ROUNDS = 4, 120
PATIENCE = 60  # s


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give the path of a shelf."""
    return tmp_path / "shelf.db"


@pytest.fixture
def shelf(file: Path) -> Iterator[Shelf]:
    """Give a shelf with one document."""
    shelf = Shelf(file)
    shelf.commit(WriteBatch(creates=(note("a"),)))
    yield shelf
    shelf.close()


def note(id_: str, text: str = "", version: int = 0) -> Document:
    """Make a document with one field."""
    return Document(id=id_, kind="note", body={"text": text}, version=version)


def test_nothing_of_a_commit_that_lost_is_in_the_next_one(shelf: Shelf) -> None:
    """Both in one exclusive turn: what the first one wrote before it lost is gone."""
    losing = WriteBatch(creates=(note("b"),), updates=(note("a", "lost", 1), note("gone", "", 1)))
    with shelf.exclusive() as view:
        with pytest.raises(Conflict):
            view.commit(losing)
        assert {"a": note("a", "", 1)} == view.get(["a", "b"])
        view.commit(WriteBatch(creates=(note("c"),)))
    expected = {"a": note("a", "", 1), "c": note("c", "", 1)}
    assert expected == shelf.get(["a", "b", "c"])


def test_turn_goes_on_after_a_commit_that_lost(shelf: Shelf, file: Path) -> None:
    """Nobody else can write before the turn ends."""
    with shelf.exclusive() as view:
        with pytest.raises(Conflict):
            view.commit(WriteBatch(creates=(note("a"),)))
        with (
            closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("BEGIN IMMEDIATE")


def test_commit_that_lost_does_not_ask_for_the_lock_again(shelf: Shelf, file: Path) -> None:
    """Another process takes it as soon as it is free, and the loser still hears of its conflict."""
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as other:
        ours, said = shelf._writer._connection, [""]

        def hear(statement: str) -> None:
            if said[-1] == "ROLLBACK":
                other.execute("BEGIN IMMEDIATE")
            said.append(statement)

        ours.execute("PRAGMA busy_timeout = 0")
        ours.set_trace_callback(hear)
        with pytest.raises(Conflict):
            shelf.commit(WriteBatch(creates=(note("b"), note("a"))))
    assert "ROLLBACK" == said[-1]
    assert {"a"} == shelf.get(["a", "b"]).keys()


def test_closing_twice_is_harmless(file: Path) -> None:
    """Also within a turn."""
    shelf = Shelf(file)
    shelf.close()
    shelf.close()
    shelf = Shelf(file)
    with shelf.exclusive() as view:
        shelf.close()
        shelf.close()
        view.commit(WriteBatch(creates=(note("a"),)))
    shelf.close()
    again = Shelf(file)
    assert {"a"} == again.get(["a"]).keys()
    again.close()


def test_commit_is_acknowledged_when_its_turn_ends_badly(
    shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    """It has happened by then; the end of the turn is a matter of its own."""

    class Broken(sqlite3.Connection):
        """A connection that cannot be closed."""

        def close(self) -> None:
            super().close()
            raise sqlite3.OperationalError("disk I/O error")

    writer = shelf._writer
    writer._connection.close()
    writer._connection = sqlite3.connect(
        shelf._file, isolation_level=None, check_same_thread=False, factory=Broken
    )
    with shelf.exclusive() as view:
        shelf.close()  # for the end of the turn
        view.commit(WriteBatch(creates=(note("b"),)))
    assert "disk I/O error" in caplog.text
    again = Shelf(shelf._file)
    assert {"b"} == again.get(["b"]).keys()
    again.close()


@pytest.mark.parametrize("then", ["gone", "replaced"])
def test_file_that_was_moved_away_takes_no_writes(shelf: Shelf, file: Path, then: str) -> None:
    """They would be acknowledged, and found by nobody."""
    away = file.rename(file.with_name("away.db"))
    if then == "replaced":
        file.write_bytes(away.read_bytes())
    with pytest.raises(Unavailable, match="was moved, removed or replaced while it was in use"):
        shelf.commit(WriteBatch(creates=(note("b"),)))
    with pytest.raises(Unavailable, match="put it back, or start again"):
        shelf.ping()
    away.replace(file)
    shelf.commit(WriteBatch(creates=(note("c"),)))
    assert {"a", "c"} == shelf.get(["a", "b", "c"]).keys()


def open_all(folder: Path, start: Barrier) -> None:
    """Open new files, each of them when all the others do."""
    for number in range(ROUNDS):
        start.wait()
        try:
            Shelf(folder / f"{number}.db").close()
        except Exception:
            start.abort()
            raise


def test_first_ones_to_open_a_file_wait_for_each_other(tmp_path: Path) -> None:
    """As the workers of a new app do."""
    context = get_context("spawn")
    start = context.Barrier(TOGETHER)
    processes = [context.Process(target=open_all, args=(tmp_path, start)) for _ in range(TOGETHER)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [0] * TOGETHER == [process.exitcode for process in processes]
