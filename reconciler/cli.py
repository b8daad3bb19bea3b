"""`jac scale`: the composition root. Flags in, exit code out; nothing else.

Exit codes: 0 converged, 1 failed, 2 usage or configuration, 3 `--plan` found changes.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from jac_converge.config.load import App, ConfigError, load_app
from jac_converge.config.logs import configure_logging, wants_json
from jac_converge.reconciler.build import check
from jac_converge.reconciler.console import (
    CONVERGED,
    FAILED,
    USAGE,
    complain,
    print_history,
    usage,
)
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.errors import ClusterError, NoCluster
from jac_converge.reconciler.files_on_disk import without_files_on_disk
from jac_converge.reconciler.images import Images, Parse
from jac_converge.reconciler.kube_cluster import KubeCluster, Limits, connect
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.pace import Pace
from jac_converge.reconciler.pause import seconds_of
from jac_converge.reconciler.preflight import platform_of
from jac_converge.reconciler.source import Source

__all__ = ["scale"]

VERBS = (
    *("plan", "watch", "status", "history", "rollback", "logs", "open", "shell"),
    *("pause", "resume", "destroy", "init", "export"),
)
_DEPLOYING = ("plan", "watch", "export")
"""Verbs that go with what is refused for the pods that would come; so does none at all."""

PATIENCE = 10.0
"""Seconds to keep trying one request while its error is transient."""

FIRST_PATIENCE = 2.0
"""The same before the cluster answered once: then it is more likely a wrong address."""


def scale(*, file: str, parse: Parse, **flags: Any) -> int:
    """Run `jac scale FILE` with flags as in `SCALE_FLAGS`; returns the exit code.

    Args:
        file: of the app.
        parse: finds what is wrong with it; called before something is deployed.
        flags: by parameter.
    """
    configure_logging(json_lines=wants_json(os.environ, flag=flags["json"]))
    try:
        code = _dispatch(file, parse, flags)
        # Here, not at the very end of the process, where nothing can be said about it.
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us is gone, as with `| head`: that is an end, not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ConfigError, NoCluster) as error:
        return complain(str(error), USAGE, flags)
    except ClusterError as error:
        return complain(str(error), FAILED, flags)
    except KeyboardInterrupt:
        return complain("interrupted", FAILED, flags)
    return code


def _dispatch(file: str, parse: Parse, flags: dict[str, Any]) -> int:
    _check_combination(flags)
    if flags["watch"] and Path(file).is_dir():
        from jac_converge.reconciler.commands.watch_apps import watch_apps  # noqa: PLC0415

        return watch_apps(Path(file), flags, lambda app: _load(str(app), flags), parse)
    source = Source(lambda: _load(file, flags), parse=parse)
    if flags["init"]:
        return _init(source.app)
    if flags["export"]:
        _check_image(source.app)
    if flags["export"] and not flags["with_secrets"]:
        from jac_converge.reconciler.commands.export import export_without_secrets  # noqa: PLC0415

        return export_without_secrets(source.app, flags)
    return _on_cluster(source, parse, flags)


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
    if not flags["destroy"]:
        check(app)
    if not any(flags[verb] for verb in VERBS if verb not in _DEPLOYING):
        return without_files_on_disk(app)
    return app


def _check_combination(flags: dict[str, Any]) -> None:
    verbs = [name for name in VERBS if flags[name]]
    if len(verbs) > 1:
        wanted = " and ".join(f"--{verb}" for verb in verbs)
        raise ConfigError(usage(f"{wanted} do not go together; use one of them"))
    if flags["data"] and not flags["destroy"]:
        raise ConfigError(usage("--data deletes data, and goes with --destroy only"))
    if flags["release"] is not None and not flags["rollback"]:
        raise ConfigError(usage("--release names what --rollback restores, and goes with it only"))
    if flags["yes"] and not flags["destroy"]:
        raise ConfigError(usage("--yes answers --destroy, and goes with it only"))
    if flags["follow"] and not flags["logs"]:
        raise ConfigError(usage("--follow says how to show --logs, and goes with it only"))
    if flags["for_"] is not None:
        if not flags["pause"]:
            raise ConfigError(usage("--for says how long to --pause, and goes with it only"))
        try:
            seconds_of(flags["for_"])
        except ValueError as error:
            raise ConfigError(usage(f"--for {error}")) from error
    if flags["with_secrets"] and not flags["export"]:
        raise ConfigError(usage("--with-secrets says what --export writes, and goes with it only"))
    if flags["timeout"] <= 0:
        raise ConfigError(usage(f"--timeout is in seconds, above 0, not {flags['timeout']}"))


def _init(app: App) -> int:
    from jac_converge.config.suggest import suggest_table  # noqa: PLC0415

    print(suggest_table(app))  # noqa: T201
    return CONVERGED


def _on_cluster(source: Source, parse: Parse, flags: dict[str, Any]) -> int:
    app = source.app
    stop = Event()
    cluster = connect(
        context=app.settings.kubernetes.context,
        namespace=app.namespace,
        selector=selector_of(app.name),
        limits=Limits(pace=Pace(clock=time.monotonic, wait=stop.wait)),
    )
    if flags["pause"] or flags["resume"]:
        from jac_converge.reconciler.commands.pause import pause_or_resume  # noqa: PLC0415

        return pause_or_resume(app, cluster, flags)
    if any(flags[verb] for verb in ("logs", "open", "shell")):
        return _talk_to_pods(app, cluster, flags)
    converger = Converger(
        cluster=cluster,
        mirror=Mirror([kind.name for kind in WATCHED], time.monotonic),
        clock=time.monotonic,
        stop=stop,
        patience=FIRST_PATIENCE,
    )
    converger.read()
    converger.patience = PATIENCE
    cluster.check_identity()
    imageless = any(flags[verb] for verb in ("destroy", "status", "history"))
    if not imageless:
        images = Images(
            partial(platform_of, cluster),
            context=cluster.target.context,
            parse=parse,
            stop=stop,
            stamp=_stamp(flags),
        )
        try:
            source.build_with(images)
        except KeyboardInterrupt:
            message = "interrupted while the image was built; nothing was changed"
            return complain(message, FAILED, flags)
    return _carry_out(source, cluster, converger, flags)


def _stamp(flags: dict[str, Any]) -> Callable[[], str]:
    """What a line begins with: in a watch with the time of day."""
    if not flags["watch"]:
        return str
    from jac_converge.reconciler.commands.running import time_of_day  # noqa: PLC0415

    return time_of_day


def _talk_to_pods(app: App, cluster: KubeCluster, flags: dict[str, Any]) -> int:
    if flags["logs"]:
        from jac_converge.reconciler.commands.logs import print_logs  # noqa: PLC0415

        return print_logs(app, cluster, flags)
    if flags["open"]:
        from jac_converge.reconciler.commands.open_app import open_app  # noqa: PLC0415

        return open_app(app, cluster, flags)
    from jac_converge.reconciler.commands.shell import open_shell  # noqa: PLC0415

    return open_shell(app, cluster, flags)


def _carry_out(
    source: Source, cluster: KubeCluster, converger: Converger, flags: dict[str, Any]
) -> int:
    """Do what was asked for; each command loads what it needs and no more."""
    app = source.app
    if flags["export"]:
        from jac_converge.reconciler.commands.export import export_with_secrets  # noqa: PLC0415

        return export_with_secrets(app, converger.build(app), converger.notes, flags)
    if flags["watch"]:
        from jac_converge.reconciler.commands.running import run_loop  # noqa: PLC0415

        source.check_code()
        return run_loop(source, cluster, converger, flags)
    if flags["status"]:
        from jac_converge.reconciler.commands.status import print_status  # noqa: PLC0415

        return print_status(app, cluster, converger, flags)
    if flags["history"]:
        history = converger.read_history(app.name)
        return print_history(app, history, converger.unreadable, flags)
    if flags["destroy"]:
        from jac_converge.reconciler.commands.destroy import destroy  # noqa: PLC0415

        return destroy(app, cluster, converger, flags)
    if flags["rollback"]:
        from jac_converge.reconciler.commands.rollback import rollback  # noqa: PLC0415

        return rollback(source, cluster, converger, flags)
    from jac_converge.reconciler.commands.deploy import plan_and_apply  # noqa: PLC0415

    return plan_and_apply(source, cluster, converger, flags)


def _check_image(app: App) -> None:
    if app.settings.kubernetes.image is not None:
        return
    message = "no image is given, and an export builds none; name one here or by --image"
    raise ConfigError(app.problem("converge.kubernetes.image", message))
