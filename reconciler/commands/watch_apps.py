"""`jac scale FOLDER --watch`: every app below a folder, in one process."""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from threading import BoundedSemaphore, Event
from typing import Any, Final

from jac_converge.config.load import App
from jac_converge.config.problems import ConfigError
from jac_converge.reconciler.commands.running import stop_on_signal, tell_end, time_of_day
from jac_converge.reconciler.commands.writing import lease_of
from jac_converge.reconciler.console import CONVERGED, usage
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.errors import Refused
from jac_converge.reconciler.fleet import Fleet, Member
from jac_converge.reconciler.images import Images, Parse
from jac_converge.reconciler.kube_cluster import KubeCluster, connect
from jac_converge.reconciler.lease import DURATION, RENEWAL
from jac_converge.reconciler.loop import Loop
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.objects import kind_named
from jac_converge.reconciler.ownership import FIELD_MANAGER, MANAGED_BY_LABEL, selector_of
from jac_converge.reconciler.pace import Pace
from jac_converge.reconciler.parts import Parts
from jac_converge.reconciler.preflight import platform_of
from jac_converge.reconciler.shared_watches import SharedWatches
from jac_converge.reconciler.source import Source
from jac_converge.reconciler.trigger import Trigger
from jac_converge.reconciler.views import JsonView, PlainView
from jac_converge.reconciler.workspace import app_folders, main_file
from jac_converge.reconciler.workspace_view import WorkspaceTable

__all__ = ["watch_apps"]

OURS: Final = f"{MANAGED_BY_LABEL}={FIELD_MANAGER}"

FEW: Final = 4
"""Namespaces that are watched one by one; with more of them the whole cluster is, if we may."""

TURNS: Final = 4
"""Apps of one cluster that make a pass at the same time: a start of many must be no storm."""

EVERYWHERE: Final = ""

RENEWALS: Final = 5.0
"""Leases to renew each second, at most: with many apps each one lasts longer instead."""

type LoadApp = Callable[[Path], App]


def watch_apps(workspace: Path, flags: dict[str, Any], load: LoadApp, parse: Parse) -> int:
    """Keep every app below a folder converged until a signal; returns the exit code.

    Args:
        workspace: the folder.
        flags: of the command.
        load: reads one app anew, by its main file.
        parse: finds what is wrong with such a file.
    """
    for name in ("image", "namespace"):
        if flags[name] is not None:
            raise ConfigError(usage(f"--{name} is for one app; write it into each jac.toml"))
    started = _Starter(flags, load, parse, _views(workspace, flags))
    if not started.expect(app_folders(workspace)):
        nothing = f"there is no app below {workspace}: no jac.toml with a [converge] table"
        raise ConfigError(usage(nothing))
    fleet = Fleet(
        scan=lambda: app_folders(workspace),
        enlist=started.enlist,
        watches=started.watches,
        say=started.views.say,
        tick=started.views.tick,
        renewal=started.renewal,
        clock=time.monotonic,
        wall=time.time,
    )
    signals = stop_on_signal(fleet.stop)
    try:
        fleet.run()
        told = "watch ended; every app stays on its cluster as it is"
        tell_end(started.views.say, told, signals)
    finally:
        started.views.close()
    return CONVERGED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Views:
    """Where a workspace tells what happens."""

    of_app: Callable[[App], Any]
    say: Callable[[str], None]
    tick: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None


def _views(workspace: Path, flags: dict[str, Any]) -> _Views:
    if flags["json"]:
        return _Views(
            of_app=lambda app: JsonView(fields={"app": app.name, "namespace": app.namespace}),
            say=JsonView().say,
        )
    if sys.stdout.isatty():
        table = WorkspaceTable(f"{workspace}  (Ctrl-C ends the watch)", stamp=time_of_day)
        return _Views(
            of_app=lambda app: table.section(_name(app)),
            say=table.line,
            tick=table.refresh,
            close=table.close,
        )
    return _Views(
        of_app=lambda app: PlainView(stamp=lambda: f"{time_of_day()}{_name(app)}: "),
        say=PlainView(stamp=time_of_day).say,
    )


def _name(app: App) -> str:
    return app.name if app.name == app.namespace else f"{app.namespace}/{app.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """One cluster, and what the apps on it share."""

    base: KubeCluster
    turns: BoundedSemaphore
    scopes: dict[str, SharedWatches] = field(default_factory=dict)
    """Namespace, or `EVERYWHERE` -> its watches."""


class _Starter:
    """Makes members of folders."""

    def __init__(self, flags: dict[str, Any], load: LoadApp, parse: Parse, views: _Views) -> None:
        self._flags = flags
        self._load = load
        self._parse = parse
        self.views = views
        self._sites: dict[str | None, _Site] = {}
        self._many: set[str | None] = set()
        self.renewal = RENEWAL
        """Seconds in which each lease is renewed once."""
        self._rng = Random()  # noqa: S311 - jitter

    def expect(self, folders: Iterable[Path]) -> bool:
        """Count the namespaces of each context, to choose the scope of its watches, and the apps.

        Returns:
            Whether there is an app at all, of use or not.
        """
        found = 0
        spaces: dict[str | None, set[str]] = {}
        for folder in folders:
            try:
                file = main_file(folder)
                app = self._load(file) if file else None
            except ConfigError:
                # Told when it is enlisted, which is tried again and again.
                found += 1
                continue
            if app:
                found += 1
                spaces.setdefault(app.settings.kubernetes.context, set()).add(app.namespace)
        self._many = {context for context, names in spaces.items() if len(names) > FEW}
        self.renewal = max(RENEWAL, found / RENEWALS)
        return found > 0

    def watches(self) -> list[SharedWatches]:
        """Every set of watches that is open."""
        return [scope for site in [*self._sites.values()] for scope in [*site.scopes.values()]]

    def enlist(self, folder: Path) -> Member | None:
        """Make a member of a folder; None: it has no settings for us."""
        file = main_file(folder)
        if file is None:
            return None
        trigger, stop = Trigger(time.monotonic), Event()
        source = Source(lambda: self._load(file))
        context = source.app.settings.kubernetes.context
        site = self._site(context)
        images = Images(
            partial(platform_of, site.base),
            context=site.base.target.context,
            parse=self._parse,
            stop=stop,
            stamp=time_of_day,
        )
        source.build_with(images)
        app = source.app
        scope = self._scope(site, context, app.namespace)
        cluster = site.base.beside(
            namespace=app.namespace,
            selector=selector_of(app.name),
            pace=Pace(clock=time.monotonic, wait=stop.wait),
        )
        converger = Converger(
            cluster=cluster,
            mirror=Mirror([kind.name for kind in WATCHED], time.monotonic),
            clock=time.monotonic,
            stop=stop,
            patience=10.0,
        )
        parts = Parts(
            converger=converger,
            source=source,
            trigger=trigger,
            lease=lease_of(app, cluster, self.renewal * DURATION / RENEWAL),
            watches=scope.watches,
            view=self.views.of_app(app),
            clock=time.monotonic,
            wall=time.time,
            rng=self._rng,
            turn=site.turns,
        )
        return Member(
            place=f"{cluster.target.context}/{app.namespace}/{app.name}",
            loop=Loop(parts, adopt=self._flags["adopt"]),
            join=lambda: scope.router.join(app.namespace, app.name, converger.mirror, trigger),
            leave=lambda: scope.router.leave(app.namespace, app.name),
        )

    def _site(self, context: str | None) -> _Site:
        if context not in self._sites:
            base = connect(context=context, namespace=EVERYWHERE, selector=OURS)
            self._sites[context] = _Site(base=base, turns=BoundedSemaphore(TURNS))
        return self._sites[context]

    def _scope(self, site: _Site, context: str | None, namespace: str) -> SharedWatches:
        if context in self._many and EVERYWHERE not in site.scopes and self._may_see_all(site.base):
            site.scopes[EVERYWHERE] = self._open(site.base)
        if EVERYWHERE in site.scopes:
            return site.scopes[EVERYWHERE]
        if namespace not in site.scopes:
            site.scopes[namespace] = self._open(
                site.base.beside(namespace=namespace, selector=OURS)
            )
        return site.scopes[namespace]

    def _open(self, cluster: KubeCluster) -> SharedWatches:
        return SharedWatches(cluster, clock=time.monotonic, rng=self._rng)

    @staticmethod
    def _may_see_all(base: KubeCluster) -> bool:
        try:
            base.list_kind(kind_named("Secret"))
        except Refused:
            return False
        return True
