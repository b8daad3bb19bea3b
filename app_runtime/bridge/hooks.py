"""What jaclang's runtime does differently, and faster, under a server.

A call of its runtime goes through a proxy that binds a signature and asks every plugin, about 3 µs
each time and ninety times in a small request. Where only jaclang and we have something to say, the
call goes straight to whoever says it. It changes with the hooks of the runtime line.
"""

import contextvars
from collections.abc import Callable
from typing import Any, Final

from jaclang.jac0core import jaclib
from jaclang.jac0core.osp_kernel import _current_scope
from jaclang.jac0core.runtime import JacRuntime, JacRuntimeImpl, plugin_manager
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge import graph, rights, storing, ties, walking
from jac_converge.app_runtime.bridge.memory import RequestMemory

__all__ = ["install"]

STRAIGHT: Final = (
    "assign_all", "check_connect_access", "check_read_access", "check_write_access", "commit",
    "connect", "filter_on", "get_context", "get_object", "object_ref", "on_commit", "root", "spawn",
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
    thread = JacRuntime.pool.submit(contextvars.copy_context().run, func, *args)
    memory = Jac.get_context().mem
    if isinstance(memory, RequestMemory):
        memory.flows.append(thread)
    return thread


def visit(walker: Any, expr: Any, insert_loc: int = -1) -> bool:
    """Go on to the next step of a walker, if anybody still waits for its request."""
    memory = Jac.get_context().mem
    if isinstance(memory, RequestMemory):
        memory.go_on()
    return bool(JacRuntimeImpl.visit(walker, expr, insert_loc))


OURS: Final[dict[str, Callable[..., Any]]] = {
    "build_edge": ties.build_edge,
    "check_access_level": rights.access_level,
    "destroy": ties.destroy,
    "detach": ties.detach,
    "disconnect": ties.disconnect,
    "edges_to_nodes": graph.nodes_of,
    "get_edges": graph.edges_of,
    "get_edges_with_node": graph.edges_with_nodes,
    "log_report": log_report,
    "refs": graph.refs,
    "remove_edge": ties.remove_edge,
    "save": ties.save,
    "spawn_call": walking.spawn_call,
    "store": storing.store,
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
    ties.install()
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
