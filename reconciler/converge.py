"""One pass over one app: build, survey, plan, apply. Shared by the one-shot commands and the loop.

Remembers, between passes, what the server accepted from us: that is what drift is measured
against.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from secrets import token_urlsafe
from threading import Event

from jac_converge.config.load import App
from jac_converge.config.rules import signing_bytes
from jac_converge.reconciler.accepted import Accepted
from jac_converge.reconciler.apply import Outcome, apply_plan
from jac_converge.reconciler.build import build, keys_of_desired
from jac_converge.reconciler.build.app import credentials_in, environment_name
from jac_converge.reconciler.build.credentials import (
    MONGODB_PASSWORD,
    Credentials,
    credentials_from,
    secret_name,
)
from jac_converge.reconciler.build.mongo import (
    data_keys,
    holds_data,
    runs_mongodb,
    unknown_password,
)
from jac_converge.reconciler.cluster import Cluster
from jac_converge.reconciler.errors import ClusterError, Conflict, Invalid, Refused, Transient
from jac_converge.reconciler.ignoring import Rules, unmatched
from jac_converge.reconciler.mirror import DISPENSABLE, Mirror
from jac_converge.reconciler.objects import (
    CLAIM,
    KINDS,
    POD,
    Object,
    ObjectKey,
    key_of,
    keyed,
    kind_named,
)
from jac_converge.reconciler.ownership import owner_of
from jac_converge.reconciler.plan import make_plan, unsurveyed
from jac_converge.reconciler.releases import History, history_from, record_key, record_object
from jac_converge.reconciler.retry import retried
from jac_converge.reconciler.snapshot import Policy, Preview, Snapshot
from jac_converge.reconciler.steps import Create, Delete, Plan, Recreate
from jac_converge.reconciler.unwanted import Unwanted
from jac_converge.reconciler.version import Version, restored, version_of
from jac_converge.reconciler.volume_growth import claims_of, growing_claims, volume_note

__all__ = ["WATCHED", "Converger"]

WATCHED = (*KINDS, POD)
"""Every kind that is read: those we write, and pods for their reasons."""


@dataclass(kw_only=True)
class Converger:
    """Brings one app on one cluster to its desired state, pass by pass.

    Args:
        cluster: the pinned cluster and namespace.
        mirror: what is live; fed by `read`, or by watches.
        clock: monotonic seconds.
        stop: ends every wait.
        patience: seconds to keep trying one request while its error is transient.
    """

    cluster: Cluster
    mirror: Mirror
    clock: Callable[[], float]
    stop: Event
    patience: float

    def __post_init__(self) -> None:
        self._accepted = Accepted()
        self._credentials: Credentials | None = None
        self._unreadable: Invalid | None = None
        self.history = History()
        """The releases so far, as of the latest plan."""
        self.version: Version | None = None
        """What jac.toml wants to run, as of the latest plan."""
        self.desired: tuple[Object, ...] = ()
        """What the latest plan wanted."""
        self._useless: Rules = ()
        self._unlabelled: set[ObjectKey] = set()
        self._unseen: dict[str, Refused] = {}
        self._gives_up_data = False
        self._unwanted = Unwanted()
        # What follows saves work only: the same grounds lead to the same end.
        self._latest: tuple[App, Credentials, tuple[Object, ...], Version] | None = None
        self._parsed: tuple[Object, History] | None = None

    def read(self) -> None:
        """List every kind into the mirror, once.

        Raises:
            ClusterError: the server refuses, or cannot be reached.
        """
        for kind in WATCHED:
            try:
                listed = self._try(partial(self.cluster.list_kind, kind))
            except Refused as error:
                if error.expired or kind.name not in DISPENSABLE:
                    raise
                self.mirror.block(kind.name, error)
            else:
                self.mirror.replace(kind.name, listed.items)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about this cluster."""
        told = [
            f'[converge.watch] ignore: "{rule}" speaks of no object of this app; '
            f"there are {', '.join(str(key_of(obj)) for obj in self.desired)}"
            for rule in self._useless
        ]
        if refused := self.mirror.blocked.get("Namespace"):
            told.append(f"the namespace is used as it is: {refused.cause}")
        unseen = self._unseen.items()
        told += (f"a {kind} that lost its labels is not seen: {it.cause}" for kind, it in unseen)
        told += self.unreadable
        if self.stand_in:
            told.append(self.stand_in)
        if not self._gives_up_data:
            claims = (it for key, it in self.mirror.snapshot().items() if key.kind == CLAIM)
            told += filter(None, map(volume_note, claims))
        return tuple(told)

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Of these notes, why the releases are not known."""
        return (str(self._unreadable),) if self._unreadable else ()

    @property
    def stand_in(self) -> str:
        """What runs in place of what jac.toml says, and why; empty when nothing does."""
        return self.history.told(self.version) if self.version else ""

    @property
    def failure(self) -> str:
        """The same where it is there because what jac.toml says has failed."""
        pin = self.history.pin
        return "" if pin is None or pin.by_hand else self.stand_in

    def plan(self, app: App, policy: Policy, *, complete: bool = False) -> Plan:
        """Decide what to do now.

        Args:
            app: what is desired.
            policy: what may be done.
            complete: ask the server about every object, also what it would say to a new one,
                instead of judging by ownership alone; but for those that this process sees for
                the first time, and that are to the letter what it would apply.

        Raises:
            ClusterError: the comparison could not be made.
        """
        live = self.mirror.snapshot()
        self.desired = self.build(app)
        # Its volumes are used by a StatefulSet whether they have labels or not.
        self._find_unlabelled((*map(key_of, self.desired), *claims_of(self.desired)), live)
        self._useless = unmatched(app.settings.watch.ignored, self.desired)
        policy = replace(policy, ignore=(*app.settings.watch.ignored, *policy.ignore))
        accepted = self._accepted
        desired = accepted.without_ignored(self.desired, live, policy.ignore)
        unasked = accepted.recognize(desired, live)
        snapshot = Snapshot(live=live, baselines=accepted.baselines)
        surveyed = desired if complete else unsurveyed(desired, snapshot)
        surveyed = tuple(obj for obj in surveyed if key_of(obj) not in unasked)
        surveyed += tuple(growing_claims(desired, live))
        previews = dict(self._previews(surveyed, live))
        if not complete:
            previews |= self._unwanted.previews(desired, live, self.clock())
        accepted.accept(previews, live)
        settled = frozenset() if complete else accepted.settled(desired, live, policy)
        snapshot = Snapshot(
            live=live,
            pods=self.mirror.pods(),
            baselines=accepted.baselines,
            previews=previews,
            settled=settled,
        )
        plan = make_plan(app.name, desired, snapshot, policy)
        accepted.note_what_is_left(plan, previews)
        accepted.remember(plan, desired, live, policy)
        return plan

    def plan_removal(self, app: App, policy: Policy) -> Plan:
        """Decide what a destroy does: a plan with nothing desired."""
        live = self.live_objects(app)
        self._gives_up_data = policy.data
        namespace = live.get(ObjectKey("Namespace", app.namespace))
        if not (policy.data and namespace and owner_of(namespace, app.name) == "us"):
            self._find_unlabelled(data_keys(app), live)
        return make_plan(app.name, (), Snapshot(live=live, pods=self.mirror.pods()), policy)

    def live_objects(self, app: App) -> dict[ObjectKey, Object]:
        """What is live of the app, also where somebody took the labels by which it is listed.

        What was found so is looked for again by `still_there`; what may not be is in `notes`.
        """
        live, self._unseen = self.mirror.snapshot(), {}
        # A namespace without labels may be another app's as well.
        for key in (key for key in keys_of_desired(app) if kind_named(key.kind).namespaced):
            try:
                found = None if key in live else self._get(key, live)
            except Refused as error:
                self._unseen[key.kind] = error
                continue
            if found and owner_of(found, app.name) == "us":
                live[key] = found
                self._unlabelled.add(key)
        return live

    def still_there(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Object]:
        """Which of these objects there still are, labels or not, as of the latest `read`."""
        live, wanted = self.mirror.snapshot() | keyed(self.mirror.pods()), {*keys}
        by_name = (key for key in wanted if key.kind == CLAIM or key in self._unlabelled)
        self._find_unlabelled(by_name, live)
        return {key: live[key] for key in sorted(wanted) if key in live}

    def apply(self, plan: Plan, *, allowed: Callable[[], bool] = lambda: True) -> Outcome:
        """Take the steps of a plan, and remember what the server accepted.

        Args:
            plan: what to do.
            allowed: whether we still may write; asked before each step.

        Raises:
            NoCluster: another cluster answers than the one that was read.
        """
        if any(isinstance(step, Create) for step in plan.writes):
            # Updates and deletes name the object's UID; only a create could hit a stranger.
            self._try(self.cluster.check_identity)
        outcome = apply_plan(
            plan,
            self.cluster,
            expect=self.mirror.expect,
            clock=self.clock,
            stop=self.stop,
            patience=self.patience,
            allowed=allowed,
        )
        self._accepted.take(outcome)
        for result in outcome.results:
            if isinstance(result.step, Recreate | Delete) and not result.error:
                self.mirror.forget(result.step.live)
            if isinstance(result.error, Conflict | Refused):
                self._read_again(result.step.key)
            self._unwanted.note(result, self.clock())
        return outcome

    def build(self, app: App) -> tuple[Object, ...]:
        """Every object that should be there.

        Raises:
            ClusterError: the Secret with what was minted before could not be read.
        """
        objects, version = self._described(app)
        if release := self.read_history(app.name).pinned(version):
            objects = restored(objects, app.name, release.version)
        return tuple(
            obj
            for obj in objects
            if obj["kind"] != "Namespace" or "Namespace" not in self.mirror.blocked
        )

    def read_version(self, app: App) -> Version:
        """Take from jac.toml what it wants to run, and from the record what ran."""
        _, version = self._described(app)
        self.read_history(app.name)
        return version

    def _described(self, app: App) -> tuple[tuple[Object, ...], Version]:
        live = self.mirror.snapshot()
        key = ObjectKey("Secret", secret_name(app.name))
        secret = live.get(key) or self._get(key, live)
        self._credentials = self._current_credentials(app, secret, live)
        if self._latest is None or self._latest[:2] != (app, self._credentials):
            objects = build(app, self._credentials)
            version = version_of(objects, app.name, key=self._credentials.jwt_secret)
            self._latest = (app, self._credentials, objects, version)
        _, _, objects, self.version = self._latest
        return objects, self.version

    def read_history(self, app_name: str) -> History:
        """Take the releases from the live record; what we know stands where there is none."""
        record = self.mirror.snapshot().get(record_key(app_name))
        self._unreadable = None
        if self._parsed and self._parsed[0] is record:
            self.history = self._parsed[1]
        elif record is not None:
            try:
                self.history = history_from(record)
                self._parsed = (record, self.history)
            except Invalid as error:
                self._unreadable = error
        return self.history

    def is_recorded(self, app: App) -> bool:
        """Whether there is a record of the releases in the cluster."""
        return record_key(app.name) in self.mirror.snapshot()

    def record(self, app: App, history: History) -> None:
        """Write the releases down, where the record says something else.

        Raises:
            ClusterError: it could not be written; `Conflict` when somebody else just did.
        """
        live = self.mirror.snapshot().get(record_key(app.name))
        if live is not None and self._unreadable is None and history == self.read_history(app.name):
            return
        record = record_object(app, history)
        if live is not None:
            # A compare-and-set: a roll-back by hand may have come in between.
            record["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        outcome = self.apply(Plan(steps=(Create(desired=record),)))
        for error in outcome.errors:
            raise error
        self.history = history

    def _current_credentials(
        self, app: App, secret: Object | None, live: Mapping[ObjectKey, Object]
    ) -> Credentials:
        """The live ones; what is missing there, or too short, comes from our memory.

        A Secret that somebody deletes must come back with the same passwords: the database's
        volume knows no others. A process that begins reads them where the app's pods do.
        """
        pods_read = live.get(ObjectKey("Secret", environment_name(app)))
        return credentials_from(
            secret,
            known=self._credentials.values if self._credentials else credentials_in(app, pods_read),
            mint=partial(self._mint, app, live),
            jwt_bytes=signing_bytes(app.settings.jwt.algorithm),
        )

    def _mint(self, app: App, live: Mapping[ObjectKey, Object], key: str) -> str:
        """Make a new secret, but no password beside a database that may know another one."""
        if key == MONGODB_PASSWORD and runs_mongodb(app):
            there = {**live}
            self._find_unlabelled(data_keys(app), there)
            if holder := next((it for it in there if holds_data(app, it)), None):
                raise unknown_password(app, there[holder])
        # 64 characters: HS512 asks for a key of that many bytes.
        return token_urlsafe(48)

    def _find_unlabelled(self, keys: Iterable[ObjectKey], live: dict[ObjectKey, Object]) -> None:
        """Look by name for what the label selector does not show: it may be there all the same."""
        for key in keys:
            if key not in live and (found := self._get(key, live)):
                live[key] = found

    def _get(self, key: ObjectKey, live: dict[ObjectKey, Object]) -> Object | None:
        kind = kind_named(key.kind)
        if kind.namespaced and not self._has_namespace(live):
            return None
        return self._try(partial(self.cluster.get, kind, key.name))

    def _has_namespace(self, live: dict[ObjectKey, Object]) -> bool:
        return "Namespace" in self.mirror.blocked or any(k.kind == "Namespace" for k in live)

    def _previews(
        self, objects: tuple[Object, ...], live: dict[ObjectKey, Object]
    ) -> Iterator[tuple[ObjectKey, Preview]]:
        for obj in objects:
            key = key_of(obj)
            if kind_named(key.kind).namespaced and not self._has_namespace(live):
                continue
            preview = self._preview(obj)
            if key not in live and preview.rejected and "dry run" in preview.rejected.cause:
                # A webhook that cannot try: only a real create can tell.
                continue
            yield key, preview

    def _preview(self, obj: Object) -> Preview:
        try:
            answer = self._try(partial(self.cluster.apply, obj, dry_run=True))
        except Transient:
            raise
        except ClusterError as error:
            return Preview(desired=obj, answer=None, rejected=error)
        return Preview(desired=obj, answer=answer)

    def _try[T](self, call: Callable[[], T]) -> T:
        return retried(call, stop=self.stop, patience=self.patience)

    def _read_again(self, key: ObjectKey) -> None:
        found = self._get(key, self.mirror.snapshot())
        if found is not None:
            self.mirror.put(found)
