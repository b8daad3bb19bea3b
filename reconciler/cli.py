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
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.errors import ClusterError, Held, NoCluster
from jac_converge.reconciler.lease import Lease
from jac_converge.reconciler.loop import Loop, Parts, Verdict, keyed, rows_of
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.plan import Plan, Policy
from jac_converge.reconciler.reach import reach
from jac_converge.reconciler.render import (
    outcome_json,
    plan_json,
    plan_lines,
    result_line,
    row_json,
    status_lines,
    worst,
)
from jac_converge.reconciler.source import Source
from jac_converge.reconciler.trigger import Trigger
from jac_converge.reconciler.views import JsonView, PlainView, TableView
from jac_converge.reconciler.watch import KindWatch, Recovery

__all__ = ["scale"]

CONVERGED, FAILED, USAGE, CHANGES = 0, 1, 2, 3

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
        return _complain(str(error), USAGE, flags)
    except ClusterError as error:
        return _complain(str(error), FAILED, flags)
    except KeyboardInterrupt:
        return _complain("interrupted", FAILED, flags)


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
    verbs = [name for name in ("plan", "watch", "status", "destroy", "init") if flags[name]]
    if len(verbs) > 1:
        wanted = " and ".join(f"--{verb}" for verb in verbs)
        raise ConfigError(_usage(f"{wanted} do not go together; use one of them"))
    if flags["data"] and not flags["destroy"]:
        raise ConfigError(_usage("--data deletes data, and goes with --destroy only"))
    if flags["yes"] and not flags["destroy"]:
        raise ConfigError(_usage("--yes answers --destroy, and goes with it only"))
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
    removing = flags["destroy"] or flags["status"]
    if app.settings.kubernetes.image is None and not removing:
        raise ConfigError(_no_image(app))
    cluster = connect(
        context=app.settings.kubernetes.context,
        namespace=app.namespace,
        selector=selector_of(app.name),
    )
    converger = Converger(
        cluster=cluster,
        mirror=Mirror([kind.name for kind in WATCHED], time.monotonic),
        clock=time.monotonic,
        stop=Event(),
        patience=FIRST_PATIENCE,
    )
    converger.read()
    converger.patience = PATIENCE
    if flags["watch"]:
        return _run_loop(source, cluster, converger, flags)
    if flags["status"]:
        return _status(app, converger, flags)
    if flags["destroy"]:
        return _destroy(app, cluster, converger, flags)
    return _plan_and_apply(source, cluster, converger, flags)


def _plan_and_apply(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    app = source.app
    plan = converger.plan(app, Policy(adopt=flags["adopt"]), complete=True)
    _print_plan(app, plan, converger.notes, flags)
    if plan.refusals:
        return FAILED
    if flags["plan"]:
        return CHANGES if plan.writes or plan.holds else CONVERGED
    if not plan.writes and not plan.holds:
        live = converger.mirror.snapshot()
        rows = rows_of(keyed(converger.desired), live, converger.mirror.pods(), plan=plan)
        if not worst(rows):
            return _print_result(app, "converged", "", live, flags)
    return _run_loop(source, cluster, converger, flags)


def _run_loop(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    app = source.app
    trigger = Trigger(time.monotonic)
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
    return _print_result(source.app, verdict, loop.reason, live, flags)


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


def _status(app: App, converger: Converger, flags: dict[str, Any]) -> int:
    live = converger.mirror.snapshot()
    deployment = live.get(ObjectKey("Deployment", app.name))
    # Without its Deployment the app is gone, whatever data it left behind.
    rows = rows_of(_wanted(app, converger, deployment) | live, live, converger.mirror.pods())
    rows = rows if deployment else ()
    health = worst(rows)
    if flags["json"]:
        told = {"app": app.name, "namespace": app.namespace, "objects": [*map(row_json, rows)]}
        print(json.dumps(told, indent=2))  # noqa: T201
    elif rows:
        for line in status_lines(rows):
            print(line)  # noqa: T201
    else:
        print(f"{app.name} is not deployed in namespace {app.namespace}")  # noqa: T201
    return CONVERGED if rows and not health else FAILED


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
        _print_plan(app, plan, converger.notes, flags)
    if not plan.writes:
        return CONVERGED
    if not flags["yes"] and not _confirmed(app, cluster, flags):
        return USAGE
    lease = _lease(app, cluster)
    _wait_for(lease)
    try:
        outcome = converger.apply(plan)
        left = _wait_until_gone(converger, outcome.plan, flags["timeout"])
    finally:
        lease.release()
    if flags["json"]:
        told = {"app": app.name, "steps": outcome_json(outcome), "gone": not left}
        print(json.dumps(told, indent=2))  # noqa: T201
    else:
        for result in outcome.results:
            print(result_line(result))  # noqa: T201
    if left and not outcome.errors:
        names = ", ".join(str(key) for key in left)
        _complain(f"still there after {flags['timeout']} s: {names}", FAILED, flags)
    return FAILED if left or outcome.errors else CONVERGED


def _confirmed(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> bool:
    if flags["json"] or not sys.stdin.isatty():
        problem = _usage("--destroy asks first, and nobody is there to answer; add --yes to go on")
        _complain(str(problem), USAGE, flags)
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


def _print_plan(app: App, plan: Plan, notes: tuple[str, ...], flags: dict[str, Any]) -> None:
    notes = (*app.notes, *notes)
    if flags["json"]:
        told = {"app": app.name, "namespace": app.namespace, "notes": notes}
        steps = plan_json(plan)
        if flags["plan"]:
            print(json.dumps({**told, "steps": steps}, indent=2))  # noqa: T201
        else:
            print(json.dumps({"event": "plan", **told, "steps": steps}), flush=True)  # noqa: T201
        return
    for line in (*notes, *plan_lines(plan)):
        print(line, flush=True)  # noqa: T201


def _print_result(
    app: App,
    verdict: Verdict,
    reason: str,
    live: dict[ObjectKey, Object],
    flags: dict[str, Any],
) -> int:
    converged = verdict == "converged"
    if flags["json"]:
        why = {"reach": reach(app, live)} if converged else {"reason": reason}
        told = {"event": "end", "app": app.name, "verdict": verdict, **why}
        print(json.dumps(told))  # noqa: T201
    elif converged:
        print(f"{app.name}: {verdict}")  # noqa: T201
        print(f"reach it:  {reach(app, live)}")  # noqa: T201
    else:
        print(f"jac scale: {app.name} {verdict}: {reason}", file=sys.stderr)  # noqa: T201
    return CONVERGED if converged else FAILED


def _no_image(app: App) -> Problem:
    return Problem(
        file=str(app.files[0]) if app.files else None,
        line=None,
        key="converge.kubernetes.image",
        message="no image is given; build one from the Dockerfile, push it, and name it here "
        "or by --image",
    )


def _complain(error: str, code: int, flags: dict[str, Any]) -> int:
    if flags["json"]:
        print(json.dumps({"event": "error", "error": error, "exit_code": code}))  # noqa: T201
    else:
        print(f"jac scale: {error}", file=sys.stderr)  # noqa: T201
    return code
