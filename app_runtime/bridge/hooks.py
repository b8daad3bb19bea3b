"""What jaclang's runtime does differently, and faster, under a server.

A call of its runtime goes through a proxy that binds a signature and asks every plugin, about 3 µs
each time and ninety times in a small request. Where only jaclang and we have something to say, the
call goes straight to whoever says it. It changes with the hooks of the runtime line.
"""

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Final

from jaclang.jac0core import jaclib
from jaclang.jac0core.archetype import Anchor, EdgeAnchor, NodeAnchor, Root
from jaclang.jac0core.constant import EdgeDir
from jaclang.jac0core.osp_kernel import _current_scope
from jaclang.jac0core.runtime import JacRuntime, JacRuntimeImpl, plugin_manager
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge import graph, rights
from jac_converge.app_runtime.bridge.edges import EdgeList
from jac_converge.app_runtime.bridge.memory import RequestMemory

__all__ = ["install"]

STRAIGHT: Final = (
    "assign_all", "build_edge", "check_connect_access", "check_read_access",
    "check_write_access", "commit", "connect", "detach", "filter_on", "get_context", "get_object",
    "object_ref", "on_commit", "root", "save", "spawn", "spawn_call",
)  # fmt: skip
"""Hooks of jaclang's own that a request calls often."""


def log_report(expr: Any, custom: bool = False) -> bool:  # noqa: FBT001, FBT002 - jaclang's
    """Collect a report; the stock one prints the data of users to standard output as well."""
    if custom:
        Jac.get_context().custom = expr
        return True
    scope = _current_scope()
    if scope is not None:
        scope.reports.append(expr)
    elif (state := Jac.get_context().call_state.get(None)) is not None:
        state.reports.put_nowait(expr)
    return True


def thread_run(func: Any, args: tuple[Any, ...] = ()) -> Any:
    """Run `flow` in the context of its request; the stock one runs it as the superuser."""
    return JacRuntime.pool.submit(contextvars.copy_context().run, func, *args)


def visit(walker: Any, expr: Any, insert_loc: int = -1) -> bool:
    """Go on to the next step of a walker, if anybody still waits for its request."""
    memory = Jac.get_context().mem
    if isinstance(memory, RequestMemory):
        memory.go_on()
    return bool(JacRuntimeImpl.visit(walker, expr, insert_loc))


def remove_edge(nd: Any, edge: Any) -> bool:
    """Take an edge out of a node's list, without reading all the others."""
    if not graph.is_there(nd):
        return True  # its list went with it
    edges = nd.edges
    if isinstance(edges, EdgeList):
        edges.discard(edge)
        return True
    with _cutting:
        for index in reversed(range(len(edges))):  # others may append meanwhile
            if edges[index].id == edge.id:
                del edges[index]
    return True


_cutting: Final = threading.Lock()
"""Lists of new nodes have no lock of their own; to cut an edge takes no time."""


def destroy(objs: Any) -> bool:
    """Delete nodes and edges; what a node takes along is read at once, not one by one.

    An edge that cannot be read, since others removed it or since its class is gone, is left alone.

    Raises:
        ValueError: one is a root.
    """
    readable = []
    for thing in objs if isinstance(objs, list) else [objs]:
        anchor = thing if isinstance(thing, Anchor) else getattr(thing, "__jac__", None)
        if isinstance(anchor, NodeAnchor | EdgeAnchor) and not graph.is_there(anchor):
            continue
        if isinstance(anchor, NodeAnchor) and isinstance(anchor.archetype, Root):
            raise ValueError("a root cannot be deleted")  # noqa: TRY004 - its account would be lost
        if isinstance(anchor, NodeAnchor):
            graph.read_around(anchor)
        readable.append(thing)
    JacRuntimeImpl.destroy(readable)
    return True


def disconnect(
    left: Any,
    right: Any,
    dir: Any = EdgeDir.OUT,  # noqa: A002
    filter: Any = None,  # noqa: A002
) -> bool:
    """Remove edges between nodes; what has to be looked at is read at once.

    jaclang's own fails at an edge, or an end of one, that cannot be read.
    """
    found = False
    ends = right if isinstance(right, list) else [right]
    for node in left if isinstance(left, list) else [left]:
        here = node.__jac__
        graph.read_around(here)
        for edge in list(here.edges):
            if not graph.is_whole(edge) or (filter and not filter(edge.archetype)):
                continue
            for mark, near, far in (
                (EdgeDir.OUT, edge.source, edge.target),
                (EdgeDir.IN, edge.target, edge.source),
            ):
                if dir not in (mark, EdgeDir.ANY) or near != here or far.archetype not in ends:
                    continue
                if Jac.check_connect_access(far, op_hint="edge_delete"):
                    (Jac.destroy if edge.persistent else Jac.detach)(edge)
                    found = True
    return found


OURS: Final[dict[str, Callable[..., Any]]] = {
    "check_access_level": rights.access_level,
    "destroy": destroy,
    "disconnect": disconnect,
    "edges_to_nodes": graph.nodes_of,
    "get_edges": graph.edges_of,
    "get_edges_with_node": graph.edges_with_nodes,
    "log_report": log_report,
    "refs": graph.refs,
    "remove_edge": remove_edge,
    "thread_run": thread_run,
    "visit": visit,
}


class _Plugin:
    """Our hooks, for the runtime's own bookkeeping and for calls that come through a proxy."""


def install() -> None:
    """Register our hooks, and bind every hot one that no other plugin wants to hear."""
    heard = {name for name in (*OURS, *STRAIGHT) if _others_hear(name)}
    for name, function in OURS.items():
        if name == "check_access_level" and name in heard:
            continue  # the first answer counts, and ours would be the first
        function._jac_hookimpl = True  # type: ignore[attr-defined] # noqa: SLF001
        setattr(_Plugin, name, staticmethod(function))
    plugin_manager.register(_Plugin)
    for name in (*OURS, *STRAIGHT):
        if name not in heard:
            _bind(name, OURS.get(name) or getattr(JacRuntimeImpl, name))
    graph.CHECKS_ARE_FOREIGN = bool(heard & {"check_read_access", "check_access_level"})


def _others_hear(name: str) -> bool:
    hook = getattr(plugin_manager.hook, name)
    return any(impl.plugin is not JacRuntimeImpl for impl in hook.get_hookimpls())


def _bind(name: str, function: Callable[..., Any]) -> None:
    setattr(Jac, name, staticmethod(function))
    if hasattr(jaclib, name):
        setattr(jaclib, name, function)  # what compiled code imports
