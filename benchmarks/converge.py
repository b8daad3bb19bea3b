"""The reconciler's costs, with its peers beside it: `make bench-converge` (FLAGS=--quick).

One real control plane, one run, the same objects in every hand: a second run that changes nothing
beside kubectl and helm, a foreign edit beside the engine of Argo CD. Ratios of one run mean
something on any machine; the limits in ms are those of two quiet cores.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployed import APP, CONFIGURATION, NAMESPACE, Deployed, deployed
from benchmarks.heals import KeptApi, Timed, calm, figure, floor, heals
from benchmarks.peers import Peers, argo_engine, helm
from benchmarks.table import Limit, Table, at_most
from jac_converge.config.load import App, load_app
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.kube_cluster import Limits, connect
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.objects import key_of
from jac_converge.reconciler.ownership import FIELD_MANAGER, selector_of
from jac_converge.reconciler.rows import rows_of
from jac_converge.reconciler.snapshot import Policy
from tests.cluster.foreign_edits import path_of

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
KUBECTL, HELM, ARGO = "peer-kubectl", "peer-helm", "peer-argo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How often each thing is done."""

    runs: int
    passes: int
    edits: int
    peer_edits: int
    saves: int


FULL = Counts(runs=15, passes=1000, edits=1000, peer_edits=150, saves=40)
QUICK = Counts(runs=5, passes=200, edits=60, peer_edits=30, saves=10)


def main() -> int:
    """Run it; the exit code is 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.converge")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    counts = QUICK if parser.parse_args().quick else FULL
    helm(), argo_engine()
    table = Table()
    with tempfile.TemporaryDirectory() as folder, deployed(audit=True) as it:
        asked: list[None] = []
        converger, app = _converger(it, asked)
        objects = [obj for obj in converger.build(app) if obj["kind"] != "Namespace"]
        peers = Peers(objects, Path(folder), it.server.kubeconfig)
        _second_runs(table, it, peers, counts)
        _passes(table, converger, app, asked, counts)
        _heals(table, it, peers, counts)
        _saves(table, it, counts)
    for missed in table.missed:
        print(f"MISSED  {missed}")
    return 1 if table.missed else 0


def _converger(it: Deployed, asked: list[None]) -> tuple[Converger, App]:
    """Read the cluster; each request from then on is one more in the list."""
    app = load_app(it.file, environ=os.environ)
    cluster = connect(
        context=None,
        namespace=app.namespace,
        selector=selector_of(app.name),
        config_file=str(it.server.kubeconfig),
        limits=Limits(pace=lambda: asked.append(None)),
    )
    mirror = Mirror([kind.name for kind in WATCHED], time.monotonic)
    converger = Converger(
        cluster=cluster, mirror=mirror, clock=time.monotonic, stop=threading.Event(), patience=5.0
    )
    converger.read()
    asked.clear()
    return converger, app


def _second_runs(table: Table, it: Deployed, peers: Peers, counts: Counts) -> None:
    """A whole process that finds everything as desired; in turn, so that noise falls on all."""
    jac = Path(sys.executable).with_name("jac")
    commands = {
        "jac-converge scale": [f"{jac}-converge", "scale", str(it.file)],
        "jac scale": [str(jac), "scale", str(it.file)],
        "kubectl apply --server-side": peers.kubectl_apply(KUBECTL),
        "helm upgrade": peers.helm_upgrade(HELM),
    }
    it.api.post("/api/v1/namespaces", {"metadata": {"name": KUBECTL}})
    for command in commands.values():
        peers.run(command)  # the first run creates, and warms caches
    for namespace in (KUBECTL, HELM):
        calm(it.api, APP, namespace)
    sent = len(it.server.requests(FIELD_MANAGER))
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(counts.runs):
        for name, command in commands.items():
            taken[name].append(peers.run(command))
    requests = it.server.requests(FIELD_MANAGER)[sent:]
    # The lease is that of the watch, which runs beside and renews it.
    writes = sum(
        r.verb in WRITES and r.resource != "leases" and "dryRun" not in r.path for r in requests
    )
    kubectl, helm = taken["kubectl apply --server-side"], taken["helm upgrade"]
    table.part("a second run, nothing to do", "median", "of kubectl's", "of helm's")
    for name, seconds in taken.items():
        beside = [_ratio(seconds, kubectl), _ratio(seconds, helm)]
        cells = [f"{statistics.median(seconds) * 1000:.0f} ms", *(f"{r:.2f}" for r in beside)]
        ours = name.startswith("jac")
        table.row(name, *cells, limits=(at_most(max(beside), 1.0),) if ours else ())
    table.row("writes of ours", str(writes), limits=(at_most(writes, 0),))


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def _passes(
    table: Table, converger: Converger, app: App, asked: list[None], counts: Counts
) -> None:
    """One pass of a loop that finds nothing to do: plan, and the table of states."""
    converger.plan(app, Policy())  # the first one asks for dry runs
    asked.clear()
    walls, began_cpu = [], time.process_time()
    for _ in range(counts.passes):
        began = time.perf_counter()
        plan = converger.plan(app, Policy())
        live = converger.mirror.snapshot()
        rows_of({key_of(o): o for o in converger.desired}, live, converger.mirror.pods(), plan=plan)
        walls.append(time.perf_counter() - began)
    cpu = (time.process_time() - began_cpu) / counts.passes * 1000
    wall = figure(walls, 50)
    table.part("a pass of the loop, nothing to do", "figure")
    table.row("wall, median", f"{wall:.2f} ms", limits=(at_most(wall, 5.0, " ms"),))
    table.row("processor", f"{cpu:.2f} ms", limits=(at_most(cpu, 5.0, " ms"),))
    table.row("requests", str(len(asked)), limits=(at_most(len(asked), 0),))


def _heals(table: Table, it: Deployed, peers: Peers, counts: Counts) -> None:
    api = _kept(it)
    bare = floor(api, NAMESPACE, counts.peer_edits) * 1000
    ours = list(heals(it.server, api, app=APP, namespace=NAMESPACE, times=counts.edits))
    it.api.post("/api/v1/namespaces", {"metadata": {"name": ARGO}})
    with peers.argo(ARGO):
        theirs = list(_peer_heals(it, api, counts.peer_edits))
    table.part("a foreign edit or delete, put back", "jac scale", "Argo's engine", "ratio")
    own, other = ([t.seconds for t in times if t.seconds] for times in (ours, theirs))
    healed = [f"{len(own)} of {len(ours)}", f"{len(other)} of {len(theirs)}"]
    left = len(ours) - len(own)
    table.row("healed", *healed, limits=(Limit(text="all", met=left == 0),))
    for percent, limit in ((50, 12.0), (95, None), (99, 60.0)):
        mine, peer = figure(own, percent), figure(other, percent) if other else float("nan")
        cells = [f"{mine:.1f} ms", f"{peer:.1f} ms", f"{mine / peer:.2f}"]
        limits = (at_most(mine, limit, " ms"),) if limit else ()
        table.row(f"p{percent}", *cells, limits=limits)
    table.row("a bare apply of one ConfigMap, median", f"{bare:.1f} ms")
    for timed in sorted(ours, key=lambda t: t.seconds or 99.0, reverse=True)[:5]:
        table.note(f"slowest: {_told(timed)}")


def _peer_heals(it: Deployed, api: KeptApi, times: int) -> Iterator[Timed]:
    for timed in heals(it.server, api, app=APP, namespace=ARGO, times=times):
        if timed.seconds is None:
            # Left as it is: deleted, so that the engine makes it anew for the next edit.
            name = timed.edit.name.format(app=APP)
            with it.server.api.watch(path_of(timed.edit.kind, ARGO), version="0") as watch:
                it.api.delete(path_of(timed.edit.kind, ARGO, name), {})
                for event in watch:
                    named = event["object"]["metadata"]["name"] == name
                    if named and event["type"] == "DELETED":
                        break
                for event in watch:
                    if event["object"]["metadata"]["name"] == name:
                        break
        yield timed


def _told(timed: Timed) -> str:
    seconds = "not healed" if timed.seconds is None else f"{timed.seconds * 1000:.1f} ms"
    edit = timed.edit
    return f"{seconds}  {edit.kind} {edit.name.format(app=APP, namespace='')} {edit.title}"


def _saves(table: Table, it: Deployed, counts: Counts) -> None:
    """From the save of jac.toml until a watch of the API server shows it."""
    file, taken = it.file.with_name("jac.toml"), []
    fixed = CONFIGURATION.replace("min_replicas = 2\nmax_replicas = 6", "enabled = false")
    path = path_of("Deployment", NAMESPACE)
    for number in range(counts.saves + 1):
        wanted = 2 + number % 2
        text = fixed.replace(
            "[converge.kubernetes]\n", f"[converge.kubernetes]\nreplicas = {wanted}\n"
        )
        new = file.with_suffix(".new")
        new.write_text(text)
        calm(it.api, APP, NAMESPACE)
        time.sleep(0.3 + 0.037 * (number % 5))  # not in step with the looks at the file
        # That of the list: the Deployment's own may be from before etcd was compacted.
        version = it.api.get(path)["metadata"]["resourceVersion"]
        with it.server.api.watch(path, version=version) as watch:
            began = time.perf_counter()
            new.replace(file)
            for event in watch:
                if event["object"]["spec"]["replicas"] == wanted:
                    break
            taken.append(time.perf_counter() - began)
    values = taken[1:]  # the first one takes the count from the autoscaler
    table.part("an edit of replicas in jac.toml, until the API server has it", "figure")
    for percent, limit in ((50, 150.0), (95, None)):
        ms = figure(values, percent)
        table.row(
            f"p{percent}", f"{ms:.0f} ms", limits=(at_most(ms, limit, " ms"),) if limit else ()
        )


def _kept(it: Deployed) -> KeptApi:
    login = json.loads(it.server.kubeconfig.read_text())
    user, cluster = login["users"][0]["user"], login["clusters"][0]["cluster"]
    return KeptApi(
        cluster["server"],
        ca=Path(cluster["certificate-authority"]),
        certificate=Path(user["client-certificate"]),
        key=Path(user["client-key"]),
    )


if __name__ == "__main__":
    sys.exit(main())
