"""Minutes of foreign edits without a pause: the watch heals on, and does not grow.

`JAC_CONVERGE_STORM_SECONDS` changes the ten minutes.
"""

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from jac_converge.reconciler.objects import Object
from tests.cluster.foreign_edits import EDITS, essence, path_of
from tests.cluster.running_loop import wait_until
from tests.e2e.scale_command import running_scale, write_app
from tests.servers.api import Api, ApiFailed
from tests.servers.control_plane import ControlPlane

pytestmark = pytest.mark.long

SECONDS = float(os.environ.get("JAC_CONVERGE_STORM_SECONDS", "600"))
PER_SECOND = 5
WARM = 0.2
"""Part of the storm after which nothing may grow any more: pools and caches are full."""

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
[converge.kubernetes.autoscaling]
min_replicas = 2
max_replicas = 6
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What a process takes of the machine."""

    megabytes: float
    files: int


def size_of(pid: int) -> Size:
    """Resident memory and open files."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - /proc knows no more than names
    return Size(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files)


def state(api: Api, namespace: str) -> dict[str, Object | None]:
    """The essence of every object that the storm hits; None: not there now."""
    found: dict[str, Object | None] = {}
    for edit in EDITS:
        name = edit.name.format(app="shop", namespace=namespace)
        try:
            found[f"{edit.kind}/{name}"] = essence(api.get(path_of(edit.kind, namespace, name)))
        except ApiFailed as failed:
            if failed.status != 404:
                raise
            found[f"{edit.kind}/{name}"] = None
    return found


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_watch_stays_small_in_a_storm_of_edits_and_heals_all_of_it(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Five edits and deletes a second, each by somebody else; flat memory, flat files."""
    server, ns = cluster_with_controllers, unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns))
    with running_scale(file, "--watch", kubeconfig=server.kubeconfig) as watching:
        watching.wait_for("Deployment/shop: ready", seconds=90)
        watching.wait_for("HorizontalPodAutoscaler/shop: ready")
        before = state(server.api, ns)
        done, warm = storm(server.api, ns, watching.process.pid)
        wait_until(lambda: state(server.api, ns) == before, 120, "not everything was healed")
        after = size_of(watching.process.pid)
        heals = sum(" healed in " in line for line in watching.lines)
        print(f"\n{done} edits, {heals} heals told; {warm} warm, {after} in the end")
        assert heals > done / 10
        assert after.megabytes < warm.megabytes * 1.15 + 5
        assert after.files <= warm.files + 5
        assert 0 == watching.end()


def storm(api: Api, namespace: str, pid: int) -> tuple[int, Size]:
    """Edit at the rate, whatever is there; how many edits it took, and the size once warm."""
    pace, started, done = Event(), time.monotonic(), 0
    warm: Size | None = None
    for number, edit in enumerate(itertools.cycle(EDITS)):
        passed = time.monotonic() - started
        if passed >= SECONDS:
            break
        if warm is None and passed >= SECONDS * WARM:
            warm = size_of(pid)
        path = path_of(edit.kind, namespace, edit.name.format(app="shop", namespace=namespace))
        try:
            edit.make(api, path, api.get(path), f"stranger-{number}")
            done += 1
        except ApiFailed as failed:
            # Deleted a moment ago, or half edited: the next one.
            if failed.status not in {404, 409, 422}:
                raise
        pace.wait(max(0.0, started + (number + 1) / PER_SECOND - time.monotonic()))
    assert warm is not None
    return done, warm
