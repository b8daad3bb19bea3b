"""`jac scale`: the composition root. Flags in, exit code out; signals; nothing else.

Exit codes: 0 converged, 1 failed, 2 usage or configuration, 3 `--plan` found changes.
"""

import getpass
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

from jac_converge.config.load import App, ConfigError, Problem, load_app
from jac_converge.config.logs import configure_logging, wants_json
from jac_converge.reconciler.build import check
from jac_converge.reconciler.cluster import KubeCluster, connect
from jac_converge.reconciler.console import (
    CHANGES,
    CONVERGED,
    FAILED,
    USAGE,
    complain,
    print_history,
    print_plan,
    print_result,
)
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.errors import ClusterError, Held, NoCluster, Refused
from jac_converge.reconciler.lease import RENEWAL, Lease
from jac_converge.reconciler.loop import Loop, Parts, keyed, rows_of
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.objects import LEASE, Object, ObjectKey
from jac_converge.reconciler.ownership import lease_name, selector_of
from jac_converge.reconciler.pace import Pace
from jac_converge.reconciler.pause import Pause, pause, pause_of, resume, seconds_of
from jac_converge.reconciler.plan import Plan, Policy
from jac_converge.reconciler.render import (
    outcome_json,
    result_line,
    row_json,
    status_lines,
    worst,
)
from jac_converge.reconciler.rollback import rolled_back
from jac_converge.reconciler.source import Source
from jac_converge.reconciler.trigger import Trigger
from jac_converge.reconciler.views import JsonView, PlainView, TableView
from jac_converge.reconciler.watch import KindWatch, Recovery

__all__ = ["scale"]

VERBS = ("plan", "watch", "status", "history", "rollback", "pause", "resume", "destroy", "init")

PATIENCE = 10.0
"""Seconds to keep trying one request while its error is transient."""

FIRST_PATIENCE = 2.0
"""The same before the cluster answered once: then it is more likely a wrong address."""


def scale(*, file: str, **flags: Any) -> int:
    """Run `jac scale FILE` with flags as in `SCALE_FLAGS`; returns the exit code."""
    configure_logging(json_lines=wants_json(os.environ, flag=flags["json"]))
    try:
        _check_combination(flags)
        source = Source(lambda: _load(file, flags))
        if flags["init"]:
            return _init(source.app)
        return _on_cluster(source, flags)
    except (ConfigError, NoCluster) as error:
        return complain(str(error), USAGE, flags)
    except ClusterError as error:
        return complain(str(error), FAILED, flags)
    except KeyboardInterrupt:
        return complain("interrupted", FAILED, flags)


def _load(file: str, flags: dict[str, Any]) -> App:
    given = {
        "kubernetes.context": flags["context"],
        "kubernetes.namespace": flags["namespace"],
        "kubernetes.image": flags["image"],
    }
    app = load_app(
        Path(file),
        environ=os.environ,
        profile=flags["profile"],
        flags={key: value for key, value in given.items() if value is not None},
    )
    # Here, so that a watch keeps the last good one instead of failing pass after pass.
    check(app)
    return app


def _check_combination(flags: dict[str, Any]) -> None:
    verbs = [name for name in VERBS if flags[name]]
    if len(verbs) > 1:
        wanted = " and ".join(f"--{verb}" for verb in verbs)
        raise ConfigError(_usage(f"{wanted} do not go together; use one of them"))
    if flags["data"] and not flags["destroy"]:
        raise ConfigError(_usage("--data deletes data, and goes with --destroy only"))
    if flags["release"] is not None and not flags["rollback"]:
        raise ConfigError(_usage("--release names what --rollback restores, and goes with it only"))
    if flags["yes"] and not flags["destroy"]:
        raise ConfigError(_usage("--yes answers --destroy, and goes with it only"))
    if flags["for_"] is not None:
        if not flags["pause"]:
            raise ConfigError(_usage("--for says how long to --pause, and goes with it only"))
        try:
            seconds_of(flags["for_"])
        except ValueError as error:
            raise ConfigError(_usage(f"--for {error}")) from error
    if flags["timeout"] <= 0:
        raise ConfigError(_usage(f"--timeout is in seconds, above 0, not {flags['timeout']}"))


def _usage(message: str) -> Problem:
    return Problem(file=None, line=None, key=None, message=message)


def _init(app: App) -> int:
    from jac_converge.config.suggest import suggest_table  # noqa: PLC0415

    print(suggest_table(app))  # noqa: T201
    return CONVERGED


def _on_cluster(source: Source, flags: dict[str, Any]) -> int:
    app = source.app
    imageless = ("destroy", "status", "history", "pause", "resume")
    if app.settings.kubernetes.image is None and not any(flags[verb] for verb in imageless):
        raise ConfigError(_no_image(app))
    cluster = connect(
        context=app.settings.kubernetes.context,
        namespace=app.namespace,
        selector=selector_of(app.name),
    )
    if flags["pause"] or flags["resume"]:
        return _pause(app, cluster, flags)
    converger = Converger(
        cluster=cluster,
        mirror=Mirror([kind.name for kind in WATCHED], time.monotonic),
        clock=time.monotonic,
        stop=Event(),
        patience=FIRST_PATIENCE,
    )
    converger.read()
    converger.patience = PATIENCE
    cluster.check_identity()
    if flags["watch"]:
        return _run_loop(source, cluster, converger, flags)
    if flags["status"]:
        return _status(app, cluster, converger, flags)
    if flags["history"]:
        history = converger.read_history(app.name)
        return print_history(app, history, converger.notes, flags)
    if flags["destroy"]:
        return _destroy(app, cluster, converger, flags)
    if flags["rollback"]:
        return _rollback(source, cluster, converger, flags)
    return _plan_and_apply(source, cluster, converger, flags)


def _pause(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> int:
    by, now = f"{getpass.getuser()}@{socket.gethostname()}", time.time()
    if flags["pause"]:
        seconds = seconds_of(flags["for_"]) if flags["for_"] else None
        current = pause(cluster, app.name, by=by, now=now, seconds=seconds)
        told = f"{current.sentence}; loops notice within {RENEWAL:g} s"
    else:
        before, current = resume(cluster, app.name, now=now), None
        told = f"resumed; it was {before.sentence}" if before else "was not paused"
    paused = current.as_json if current else None
    if flags["json"]:
        print(json.dumps({"app": app.name, "namespace": app.namespace, "paused": paused}))  # noqa: T201
    else:
        print(f"{app.name}: {told}")  # noqa: T201
    return CONVERGED


def _rollback(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    app = source.app
    version = converger.read_version(app)
    history = rolled_back(converger.history, version, flags["release"])
    converger.record(app, history)
    lease = _lease(app, cluster)
    if lease.acquire():
        lease.release()
        return _plan_and_apply(source, cluster, converger, flags)
    return _follow(app, converger, f"{lease.rival} keeps this app converged", flags)


def _follow(app: App, converger: Converger, rival: str, flags: dict[str, Any]) -> int:
    """Wait while another process does what is desired."""
    deadline = time.monotonic() + flags["timeout"]
    while True:
        converger.read()
        converger.mirror.settle()
        plan = converger.plan(app, Policy())
        if _is_converged(converger, plan):
            return _print_end(app, converger, flags)
        if time.monotonic() >= deadline:
            reason = f"{rival}, but has not restored it after {flags['timeout']} s"
            return print_result(app, "failed", reason, converger.mirror.snapshot(), flags)
        time.sleep(0.2)


def _is_converged(converger: Converger, plan: Plan) -> bool:
    if plan.writes or plan.holds:
        return False
    live = converger.mirror.snapshot()
    return not worst(rows_of(keyed(converger.desired), live, converger.mirror.pods(), plan=plan))


def _print_end(app: App, converger: Converger, flags: dict[str, Any]) -> int:
    failure, live = converger.failure, converger.mirror.snapshot()
    return print_result(app, "failed" if failure else "converged", failure, live, flags)


def _plan_and_apply(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    app = source.app
    plan = converger.plan(app, Policy(adopt=flags["adopt"]), complete=True)
    print_plan(app, plan, converger.notes, flags)
    if plan.refusals:
        return FAILED
    if flags["plan"]:
        return CHANGES if plan.writes or plan.holds else CONVERGED
    if _is_converged(converger, plan):
        return _print_end(app, converger, flags)
    return _run_loop(source, cluster, converger, flags)


def _run_loop(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    app = source.app
    trigger = Trigger(time.monotonic)
    cluster.pace = Pace(clock=time.monotonic, wait=converger.stop.wait)
    view = _view(app, cluster, flags)
    recovery = Recovery()
    rng = Random()  # noqa: S311 - jitter
    watches = tuple(
        KindWatch(
            kind=kind,
            cluster=cluster,
            mirror=converger.mirror,
            trigger=trigger,
            recovery=recovery,
            clock=time.monotonic,
            rng=rng,
        )
        for kind in WATCHED
    )
    loop = Loop(
        Parts(
            converger=converger,
            source=source,
            trigger=trigger,
            lease=_lease(app, cluster),
            watches=watches,
            view=view,
            clock=time.monotonic,
            wall=time.time,
            rng=rng,
        ),
        adopt=flags["adopt"],
    )
    _stop_on_signal(loop.stop)
    try:
        if flags["watch"]:
            loop.run()
            return CONVERGED
        verdict = loop.run(until_healthy=True, timeout=flags["timeout"])
    finally:
        view.close()
    live = converger.mirror.snapshot()
    return print_result(source.app, verdict, loop.reason, live, flags)


def _lease(app: App, cluster: KubeCluster) -> Lease:
    holder = f"{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"
    return Lease(app_name=app.name, cluster=cluster, holder=holder, clock=time.monotonic)


def _stop_on_signal(stop: Callable[[], None]) -> None:
    """First signal: end after the write in flight. Second one: end."""

    def handle(signum: int, _frame: object) -> None:
        signal.signal(signum, signal.SIG_DFL)
        stop()

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # SIGHUP, the closed terminal, is not known on Windows.
        if signum := getattr(signal, name, None):
            signal.signal(signum, handle)


def _status(app: App, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]) -> int:
    paused, unknown = _paused(app, cluster)
    live = converger.mirror.snapshot()
    deployment = live.get(ObjectKey("Deployment", app.name))
    # Without its Deployment the app is gone, whatever data it left behind.
    rows = rows_of(_wanted(app, converger, deployment) | live, live, converger.mirror.pods())
    rows = rows if deployment else ()
    health, notes = worst(rows), (*unknown, *converger.notes)
    if flags["json"]:
        told = {
            "app": app.name,
            "namespace": app.namespace,
            "paused": paused.as_json if paused else None,
            "notes": notes,
            "objects": [*map(row_json, rows)],
        }
        print(json.dumps(told, indent=2))  # noqa: T201
    elif rows:
        pauses = [f"{app.name}: {paused.sentence}"] if paused else []
        for line in (*pauses, *notes, *status_lines(rows)):
            print(line)  # noqa: T201
    else:
        print(f"{app.name} is not deployed in namespace {app.namespace}")  # noqa: T201
    return CONVERGED if rows and not health else FAILED


def _paused(app: App, cluster: KubeCluster) -> tuple[Pause | None, tuple[str, ...]]:
    """The pause, and what to say when we may not know."""
    try:
        return pause_of(cluster.get(LEASE, lease_name(app.name)), time.time()), ()
    except Refused as error:
        return None, (f"whether {app.name} is paused is not known: {error.cause}",)


def _wanted(app: App, converger: Converger, deployment: Object | None) -> dict[ObjectKey, Object]:
    """What should be there, with the image that runs where this command was given none."""
    kubernetes = app.settings.kubernetes
    if deployment is None:
        return {}
    if kubernetes.image is None:
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        kubernetes = kubernetes.model_copy(update={"image": image})
    settings = app.settings.model_copy(update={"kubernetes": kubernetes})
    return keyed(converger.build(replace(app, settings=settings)))


def _destroy(app: App, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]) -> int:
    plan = converger.plan_removal(app, Policy(data=flags["data"]))
    if not flags["json"]:
        print_plan(app, plan, converger.notes, flags)
    if not plan.writes:
        return CONVERGED
    if not flags["yes"] and not _confirmed(app, cluster, flags):
        return USAGE
    lease = _lease(app, cluster)
    _wait_for(lease)
    gone = False
    try:
        outcome = converger.apply(plan)
        left = _wait_until_gone(converger, outcome.plan, flags["timeout"])
        gone = not left and not outcome.errors
    finally:
        lease.release(forget_pause=gone)
    if flags["json"]:
        told = {"app": app.name, "steps": outcome_json(outcome), "gone": not left}
        print(json.dumps(told, indent=2))  # noqa: T201
    else:
        for result in outcome.results:
            print(result_line(result))  # noqa: T201
    if left and not outcome.errors:
        names = ", ".join(str(key) for key in left)
        complain(f"still there after {flags['timeout']} s: {names}", FAILED, flags)
    return FAILED if left or outcome.errors else CONVERGED


def _confirmed(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> bool:
    if flags["json"] or not sys.stdin.isatty():
        problem = _usage("--destroy asks first, and nobody is there to answer; add --yes to go on")
        complain(str(problem), USAGE, flags)
        return False
    where = f"namespace {app.namespace} of {cluster.target.context}"
    return input(f"Delete {app.name} from {where}? [y/N] ").strip().lower() in {"y", "yes"}


def _wait_for(lease: Lease) -> None:
    """Take the lease; from a dead holder, once it has expired.

    Raises:
        Held: its holder is at work.
    """
    told = False
    while not lease.acquire():
        if isinstance(lease.obstacle, Held):
            raise lease.obstacle
        if not told:
            print(f"jac scale: {lease.obstacle}", file=sys.stderr)  # noqa: T201
        told = True
        time.sleep(1.0)


def _wait_until_gone(converger: Converger, plan: Plan, timeout: float) -> tuple[ObjectKey, ...]:
    """What is still there in the end."""
    leaving = {step.key for step in plan.writes}
    deadline = time.monotonic() + timeout
    while left := leaving & converger.mirror.snapshot().keys():
        if time.monotonic() >= deadline:
            break
        time.sleep(0.2)
        converger.read()
    return tuple(sorted(left))


def _view(
    app: App, cluster: KubeCluster, flags: dict[str, Any]
) -> JsonView | PlainView | TableView:
    if flags["json"]:
        return JsonView()
    if flags["watch"] and sys.stdout.isatty():
        where = f"{cluster.target.context} / {app.namespace}"
        return TableView(f"{app.name} on {where}  (Ctrl-C ends the watch)", stamp=_time_of_day)
    return PlainView(stamp=_time_of_day) if flags["watch"] else PlainView()


def _time_of_day() -> str:
    return time.strftime("%H:%M:%S ")


def _no_image(app: App) -> Problem:
    return Problem(
        file=str(app.files[0]) if app.files else None,
        line=None,
        key="converge.kubernetes.image",
        message="no image is given; build one from the Dockerfile, push it, and name it here "
        "or by --image",
    )
