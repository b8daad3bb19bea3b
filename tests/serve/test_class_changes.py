"""Two versions of an app over one shelf: what a class gains, loses and renames."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.jac_server import JacServer

VERSIONS = Path(__file__).parent / "versions"


class Zoo:
    """One shelf, and the servers of one version after another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def serve(self, version: str) -> JacServer:
        """Give a server of a version, not started."""
        return JacServer(VERSIONS / version / "zoo.jac", self.folder)

    def documents(self) -> dict[str, Any]:
        """Return version and body of every document."""
        with sqlite3.connect(self.folder / ".jac" / "converge" / "shelf.db") as shelf:
            rows = shelf.execute("SELECT id, version, body FROM documents").fetchall()
        shelf.close()
        return {id_: (version, json.loads(body)) for id_, version, body in rows}


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Give the shelf that the first version left behind, for reading alone."""
    zoo = Zoo(tmp_path_factory.mktemp("zoo"))
    with zoo.serve("first") as server:
        assert 200 == server.call("/walker/settle").status
        token = server.register("ann")
        server.register("bob")
        (shared,) = server.call("/walker/my_gains", token).reports
    (zoo.folder / "shared").write_text(shared)
    return zoo


@pytest.fixture(scope="module")
def second(settled: Zoo) -> Iterator[JacServer]:
    """Give the second version on that shelf; whoever uses it changes nothing."""
    with settled.serve("second") as server:
        yield server


@pytest.fixture
def own(settled: Zoo, tmp_path: Path) -> Zoo:
    """Give a copy of the shelf to one test alone."""
    folder = tmp_path / "zoo"
    shutil.copytree(settled.folder, folder)
    return Zoo(folder)


def test_old_documents_are_read_as_the_classes_are_now(second: JacServer) -> None:
    """Added, lost, dropped, renamed and converted fields, renamed classes; one class is gone."""
    (seen,) = second.call("/walker/show").reports
    assert {
        "gains": ["gains", 4, ["ball"]],
        "needs": ["needs", False],
        "loses": ["loses", False],
        "drops": "drops",
        "renames": "nick",
        "converts": [42, "huge"],
        "wears": "tag",
        "carries": ["label", "Card"],
        "new": "old",
        "nodes": 9,
    } == seen


def test_field_without_value_is_missing_by_its_name(second: JacServer) -> None:
    """Whoever asks for it learns which, and everybody else goes on."""
    answer = second.call("/walker/needy")
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    assert "keeper" in second.log_text()
    reports = second.call("/walker/report_all").reports
    assert 9 == len(reports)
    (needs,) = (report for report in reports if report["_jac_type"] == "Needs")
    assert "needs" == needs["name"]
    assert None is needs["keeper"]


def test_reading_with_new_classes_writes_nothing(settled: Zoo, second: JacServer) -> None:
    """Nor does it warn those who may read and not write."""
    login = {"username": "bob", "password": "correct horse"}
    token = second.send("POST", "/user/login", login).body["data"]["token"]
    before = settled.documents()
    second.call("/walker/show")
    shared = (settled.folder / "shared").read_text()
    answer = second.call(f"/walker/look/{shared}", token)
    assert [["shared", 4]] == answer.reports
    assert "warnings" not in answer.body["data"]
    assert before == settled.documents()


def test_what_a_class_lost_is_back_when_it_has_it_again(own: Zoo) -> None:
    """Though the second version has rewritten every document: fields, also inside of objects."""
    with own.serve("second") as server:
        assert 200 == server.call("/walker/touch").status
        (seen,) = server.call("/walker/show").reports
        assert "nick!" == seen["renames"]
        assert [43, "huge"] == seen["converts"]
    with own.serve("third") as server:
        reports = server.call("/walker/show").reports
    assert {"loses": ["loses!", 7]} in reports
    assert {"drops": ["drops!", "long"]} in reports
    assert {"wears": ["tag!", "blue"]} in reports


def test_class_that_is_gone_keeps_its_nodes_and_edges(own: Zoo) -> None:
    """They are skipped meanwhile, and back with the class, with what hangs from them."""
    with own.serve("second") as server:
        assert 200 == server.call("/walker/touch").status
        assert 9 == server.call("/walker/show").reports[0]["nodes"]
        assert "cannot read class zoo.Gone any more" in server.log_text()
    with own.serve("third") as server:
        reports = server.call("/walker/show").reports
    assert {"gone": "gone", "below": ["below"]} in reports
