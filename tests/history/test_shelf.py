"""No update is lost on a shelf that several processes share, whichever of them dies."""

from pathlib import Path

from tests.history.clients import Crowd
from tests.history.faults import kill_server, kill_worker, start
from tests.history.history import Outcome
from tests.history.topology import run, serving
from tests.history.workloads import mixed


def test_shelf_loses_nothing_between_four_workers(tmp_path: Path) -> None:
    """Nothing fails either: a call that lost a race holds the write lock when it runs again."""
    with serving(tmp_path, servers=1, workers=4) as topology:
        history = run(topology, mixed, clients=8, each=100, name="shelf, 4 workers")
    assert 0 == history.count(Outcome.UNKNOWN)
    assert 0 == history.count(Outcome.FAIL)


def test_shelf_loses_nothing_when_processes_are_killed(tmp_path: Path) -> None:
    """Two servers share one file; a worker of one is killed, then the other with all of its own."""
    with serving(tmp_path, servers=2, workers=2) as topology:
        first, second = topology.servers

        def kill(crowd: Crowd) -> None:
            crowd.progress(40)
            kill_worker(first)
            crowd.progress(40)
            kill_server(second)
            start(second)
            crowd.progress(40)

        run(topology, mixed, clients=8, during=kill, name="shelf, killed processes")
