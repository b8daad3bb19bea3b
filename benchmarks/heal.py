"""How fast foreign edits and deletes are put back: `make bench-heal`.

Beside it, in the same run, the floor: a watch that answers each event with a plain apply of one
ConfigMap, on the same API server, with the same client.
"""

import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.deployed import APP, NAMESPACE, Deployed, deployed
from jac_converge.reconciler.kube_cluster import KubeCluster, connect
from jac_converge.reconciler.objects import Object, kind_named
from jac_converge.reconciler.ownership import labels_of, selector_of
from tests.cluster.foreign_edits import EDITS, Edit, heal_seconds, path_of
from tests.servers.api import Api

EDITED = 100
FLOOR = "floor"
CONFIG_MAP = kind_named("ConfigMap")


def main() -> int:
    """Run it; the exit code is 1 when an edit was never put back."""
    with deployed() as it:
        floor = list(_floor_times(it))
        times: list[tuple[Edit, float | None]] = []
        chosen = random.Random(7).choices(EDITS, k=EDITED)  # noqa: S311 - a fixed order
        for number, edit in enumerate(chosen):
            _wait_until_calm(it.api)
            # Past the window in which causes are gathered: this measures latency, not a storm.
            time.sleep(0.1)
            manager = f"kubectl-edit-{number}"
            seconds = heal_seconds(it.api, edit, app=APP, namespace=NAMESPACE, manager=manager)
            times.append((edit, seconds))
    _report(floor, times)
    return 0 if all(seconds is not None for _, seconds in times) else 1


def _report(floor: list[float], times: list[tuple[Edit, float | None]]) -> None:
    healed = sorted(seconds for _, seconds in times if seconds is not None)
    print(f"{len(healed)} of {len(times)} foreign edits and deletes healed, over all kinds")
    print("time from sending the edit until a watch shows the object as it was:")
    for name, values in (("jac scale --watch", healed), ("floor (one ConfigMap)", sorted(floor))):
        print(f"  {name:<22} {_figures(values)}")
    print(f"  ratio of the medians   {statistics.median(healed) / statistics.median(floor):.2f}")
    slowest = sorted(times, key=lambda pair: pair[1] or float("inf"))[-5:]
    for edit, seconds in reversed(slowest):
        told = "NOT HEALED" if seconds is None else f"{seconds * 1000:6.1f} ms"
        print(
            f"  slowest: {told}  {edit.kind} {edit.name.format(app=APP, namespace='')} {edit.title}"
        )


def _figures(values: list[float]) -> str:
    at = {p: values[min(len(values) - 1, int(len(values) * p / 100))] * 1000 for p in (50, 95, 99)}
    return "  ".join(f"p{p} {ms:6.1f} ms" for p, ms in at.items())


def _wait_until_calm(api: Api) -> None:
    """Let the workloads settle, so that one edit's roll-out is not another one's noise."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        deployment = api.get(path_of("Deployment", NAMESPACE, APP))
        status = deployment.get("status") or {}
        if (
            status.get("observedGeneration") == deployment["metadata"]["generation"]
            and status.get("availableReplicas") == status.get("replicas")
            and status.get("updatedReplicas") == status.get("replicas")
        ):
            return
        time.sleep(0.05)


def _floor_times(it: Deployed) -> Iterator[float]:
    cluster = connect(
        context=None,
        namespace=it.server.new_namespace(),
        selector=selector_of(FLOOR),
        config_file=str(it.server.kubeconfig),
    )
    obj: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": FLOOR, "labels": labels_of(FLOOR, "app")},
        "data": {"color": "red"},
    }
    cluster.apply(obj)
    edit = Edit(
        title="value", kind="ConfigMap", name=FLOOR, change=lambda _: {"data": {"color": "blue"}}
    )
    with _plain_loop(cluster, obj):
        for number in range(30):
            seconds = heal_seconds(
                it.api,
                edit,
                app=FLOOR,
                namespace=cluster.target.namespace,
                manager=f"kubectl-edit-{number}",
            )
            assert seconds is not None
            yield seconds


@contextmanager
def _plain_loop(cluster: KubeCluster, obj: Object) -> Iterator[None]:
    stream = cluster.watch(CONFIG_MAP, cluster.list_kind(CONFIG_MAP).version, 300)

    def heal() -> None:
        for _ in stream:
            cluster.apply(obj)

    thread = threading.Thread(target=heal)
    thread.start()
    try:
        yield
    finally:
        stream.close()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
