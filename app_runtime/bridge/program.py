"""A loaded Jac app: what can be called, and how a call runs.

The seam to jaclang 0.16. A call runs in a context and a memory of its own; a commit that meets a
conflict runs the whole call again. It changes with the runtime line below it.
"""

import os
from asyncio import CancelledError
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

os.environ["JAC_TOPOLOGY_INDEX"] = "0"  # before jaclang looks; why: anchors.py

from jaclang.jac0core.archetype import AccessLevel, NodeAnchor, Root
from jaclang.jac0core.constant import Constants
from jaclang.jac0core.osp_kernel_sv import desc_for, isolate_request_walk_stack
from jaclang.jac0core.runtime import JacRuntime as Jac
from jaclang.runtimelib.context import CallState

from jac_converge.app_runtime.bridge import hooks
from jac_converge.app_runtime.bridge.anchors import body_of
from jac_converge.app_runtime.bridge.client_side import client_side_of
from jac_converge.app_runtime.bridge.effects import RequestContext
from jac_converge.app_runtime.bridge.graph import reach
from jac_converge.app_runtime.bridge.introspect import Callables, FunctionSpec, WalkerSpec, find
from jac_converge.app_runtime.bridge.loading import AppBroken, import_app
from jac_converge.app_runtime.bridge.memory import RequestMemory
from jac_converge.app_runtime.bridge.restspecs import BadDeclaration
from jac_converge.app_runtime.bridge.streaming import Stream, generator_in
from jac_converge.app_runtime.bridge.too_late import TooLate
from jac_converge.app_runtime.bridge.wire import CannotSend, to_text, to_wire
from jac_converge.app_runtime.rider import WithRider
from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    DocumentStore,
    TooLarge,
    Unavailable,
    UnknownOutcome,
    Unreadable,
    WriteBatch,
)

__all__ = [
    "AppBroken",
    "Call",
    "CannotSend",
    "Exited",
    "NodeNotFound",
    "Outcome",
    "Program",
    "Read",
    "Run",
    "TooLate",
    "WrongNode",
]

SYSTEM_ROOT = UUID(Constants.SUPER_ROOT_UUID.value)
GUEST_ROOT = uuid5(SYSTEM_ROOT, Constants.GUEST.value)

COMMONS = {"all": AccessLevel.CONNECT.value, "roots": {}}

type Place = tuple[str | int, ...]
"""A field, and the index in its list."""

type Read = Callable[[Collection[str]], Mapping[str, Document]]
"""Reads documents by id; those read before cost nothing."""


class Exited(Exception):
    """The app raised what is no `Exception`, which is for the operator of its process alone."""


class NodeNotFound(Exception):
    """No node with this id, or none that the caller may read: nobody learns which."""


class WrongNode(Exception):
    """The node of a field is of a class that the field is not for."""

    def __init__(self, place: Place, classes: tuple[type, ...]) -> None:
        """Tell which field, and what it is for."""
        names = " or ".join(cls.__name__ for cls in classes)
        super().__init__(f"the id of a node of class {names} is needed")
        self.place = place


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a walker or function."""

    spec: WalkerSpec | FunctionSpec
    fields: dict[str, Any]
    """Values by field name, without those that the app makes itself, by its defaults.

    A run may change what is inside, so each run needs its own."""
    root: Callable[[Read], UUID]
    """Finds the root of the caller, with what it reads; raises if the caller may not call."""
    node: str | None = None
    """Where a walker starts; None: at the caller's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call gave, as JSON."""

    result: Any
    reports: list[Any]
    warnings: list[dict[str, Any]]
    text: bytes
    """All of it as one object."""
    stream: Stream | None = None
    """What it gives piece by piece; then there is nothing else."""


class Run:
    """One run of a call on one memory. Enter it, `begin`, await what needs it, `finish`.

    Then leave it, and what keeps others waiting, and run its `effects`.
    """

    def __init__(
        self,
        call: Call,
        store: DocumentStore,
        *,
        too_late: Callable[[], bool],
        given_up: Callable[[], bool] = bool,
    ) -> None:
        self._call = call
        self._store = store
        self._memory = RequestMemory(
            store, name=call.spec.name, too_late=too_late, given_up=given_up
        )
        self._context = _context(self._memory)
        self._started: Any = None

    @property
    def committed(self) -> bool:
        """Whether something is written already, so that running again would write it twice."""
        return self._memory.commits > 0

    @property
    def user_root(self) -> Any:
        """The anchor of the caller's root, while the run is active."""
        return self._context.user_root

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this run the one that Jac code of this thread or task belongs to."""
        token = Jac.push_request_context(self._context)
        try:
            isolate_request_walk_stack()
            # Only what a plain function reports comes this way; a walker keeps its own reports.
            function = isinstance(self._call.spec, FunctionSpec)
            self._context.call_state.set(CallState() if function else None)
            self._context.set_user_root(self._call.root(self._memory.read).hex)
            try:
                yield
            except BaseException:
                self._memory.abandon()
                raise
        except UnknownOutcome:
            raise
        except (Conflict, TooLarge, Unavailable, Unreadable) as error:
            if not self.committed:
                raise
            # Part of the call is stored, so neither "try again" nor "nothing was stored" is true.
            raise UnknownOutcome(f"a part was committed, and then: {error}") from error
        except (Exception, TooLate, CancelledError):
            raise  # the last may come from whoever waits for the call, who alone can tell
        except BaseException as error:
            # It would end an event loop, or a server; nobody presses Ctrl-C in a thread of calls.
            raise Exited(f"raised {type(error).__name__}") from error
        finally:
            Jac.reset_request_context(token)

    def begin(self) -> Any:
        """Run the call; returns an awaitable where the call is asynchronous.

        Raises:
            NodeNotFound: the start node, or one of a field, is not there for this caller.
            WrongNode: the node of a field is of another class.
        """
        spec, values = self._call.spec, dict(self._call.fields)
        for name, classes in spec.node_fields.items():
            if name in values:
                values[name] = self._nodes((name,), values[name], classes)
        if isinstance(spec, FunctionSpec):
            return spec.function(**values)
        start = self._node(self._call.node) if self._call.node else self._context.user_root
        self._started = spec.cls(**values)
        return Jac.spawn(self._started, start.archetype)

    def unfinished(self) -> list[Future[Any]]:
        """Return the threads of the call that are at work: what they change is a part of it."""
        return [flow for flow in self._memory.flows if not flow.done()]

    def finish(self, result: Any) -> Outcome:
        """Put the outcome into JSON, and commit.

        Raises:
            CannotSend: the result has no form as JSON; nothing was written.
            Conflict: the call should run again, in a new run.
            StoreError: nothing was written.
            TooLate: the call was given up.
        """
        result, reports = self._given(result)
        items = generator_in(result, reports)
        if items is not None:
            self._memory.flush()
            self._arrive()
            stream = Stream(items, within=self._within, end=self._end_stream)
            return Outcome(result=None, reports=[], warnings=[], text=b"", stream=stream)
        outcome: Outcome = self._memory.flush(lambda: self._outcome(result, reports))
        self._arrive()
        self._memory.settle()
        return outcome

    def _arrive(self) -> None:
        """Write what rides with the call before its effects run: they may be all that it does."""
        if isinstance(self._store, WithRider):
            self._store.arrive()

    def _end_stream(self) -> None:
        self._memory.flush()
        self._memory.settle()
        self._context.run_pending_effects()
        self._memory.end()

    @property
    def has_effects(self) -> bool:
        """Whether something waited for the commit."""
        return self._memory.effects.any_due()

    def effects(self) -> None:
        """Run what waited for the commit; where that fails, the log says so."""
        with self._within():
            try:
                self._context.run_pending_effects()
            finally:
                self._memory.end()

    @contextmanager
    def _within(self) -> Iterator[None]:
        token = Jac.push_request_context(self._context)
        try:
            isolate_request_walk_stack()
            yield
        except (SystemExit, KeyboardInterrupt) as error:
            raise Exited(f"raised {type(error).__name__}") from error
        finally:
            Jac.reset_request_context(token)

    def _given(self, result: Any) -> tuple[Any, list[Any]]:
        """Return result and reports; the result of a walker is the walker."""
        if self._started is not None:
            return self._started, list(self._started.reports)
        queue = self._context.call_state.get().reports
        return result, [queue.get_nowait() for _ in range(queue.qsize())]

    def _outcome(self, result: Any, reports: list[Any]) -> "Outcome":
        sent = {"result": to_wire(result), "reports": to_wire(reports)}
        warnings = [diagnostic.to_dict() for diagnostic in self._context.diagnostics]
        text = to_text(sent | {"warnings": warnings} if warnings else sent)
        return Outcome(**sent, warnings=warnings, text=text)

    def _nodes(self, place: Place, given: Any, classes: tuple[type, ...]) -> Any:
        if isinstance(given, list):
            many = enumerate(given)
            return [self._nodes((*place, index), item, classes) for index, item in many]
        if not isinstance(given, str):
            return given  # a default: None, or what the app made
        node = self._node(given).archetype
        if not isinstance(node, classes):
            raise WrongNode(place, classes)
        return node

    def _node(self, id_: str) -> Any:
        anchor = reach(self._memory, id_)
        if anchor is None:
            raise NodeNotFound(f"node {id_} not found")
        return anchor


class Program:
    """One Jac app, loaded into this process for good."""

    def __init__(self, file: Path, *, profile: str | None = None) -> None:
        """Load the app and everything it imports; code at module level runs.

        Args:
            file: of the app.
            profile: of jac.toml, for what jaclang reads there; None: its default one.

        Raises:
            AppBroken: it does not compile, or its own code raised.
        """
        self.file = file
        module = import_app(file, profile, _context)
        self.client = client_side_of(file, module)
        """What runs in a browser; None: nothing does."""
        called = self.client.calls if self.client else {}
        try:
            callables: Callables = find(module, file.parent, called=called)
        except BadDeclaration as error:
            lines = (f"{file}: {line}" for line in str(error).splitlines())
            raise AppBroken("\n".join(lines)) from error
        self.walkers = callables.walkers
        self.functions = callables.functions
        self.middleware = callables.middleware
        self.jobs = callables.jobs
        self.definitions = callables.definitions
        for archetype in callables.archetypes:
            desc_for(archetype)  # its table of tags has no lock: fill it before there are threads

    @staticmethod
    def ensure_guest(store: DocumentStore) -> None:
        """Make the root that anonymous callers share, unless it is there.

        It is `root.shared`, which everybody may read and add to. jaclang grants that when somebody
        first looks; here only what is stored counts, so it is stored.
        """
        there = store.get([GUEST_ROOT.hex]).get(GUEST_ROOT.hex)
        if there is None:
            made = new_root(GUEST_ROOT)
            batch = WriteBatch(creates=(made._replace(body={**made.body, "access": COMMONS}),))
        elif "access" not in there.body:
            body = {**there.body, "access": COMMONS}
            batch = WriteBatch(updates=(there._replace(body=body),))
        else:
            return
        try:
            store.commit(batch)
        except Conflict:
            return  # another worker was faster: it is there


def ensure_system(store: DocumentStore) -> None:
    """Make the root of the system, at which jobs and webhooks run, unless it is there."""
    if SYSTEM_ROOT.hex in store.get([SYSTEM_ROOT.hex]):
        return
    with suppress(Conflict):  # another worker was faster
        store.commit(WriteBatch(creates=(new_root(SYSTEM_ROOT),)))


def new_root(id_: UUID) -> Document:
    """Return the document of a new root, which owns itself."""
    anchor = Root().__jac__
    anchor.id = id_
    return Document(id=id_.hex, kind="root", body=body_of(anchor))


class _Parent:
    """Stands in for the parent of a context: gives it our memory, and no SQLite of its own."""

    base_path_dir = None
    full_target_path = None

    def __init__(self, memory: Any) -> None:
        self.mem = memory
        root = Root()
        # By hand: jaclang would ask the system for a random id, which costs more than the rest.
        anchor = NodeAnchor(archetype=root, persistent=True, edges=[], id=SYSTEM_ROOT)
        root.__dict__["__jac__"] = anchor
        self.system_root = self.user_root = self.entry_node = anchor


def _context(memory: Any) -> Any:
    return RequestContext(_parent=_Parent(memory))


hooks.install()
Jac.set_shared_root_resolver(lambda: GUEST_ROOT.hex)
