"""What people left behind: removed as a walker would remove it, whoever may remove it.

It changes with what removing a node means.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from uuid import UUID

from jaclang.jac0core.runtime import JacRuntime as Jac

from jac_converge.app_runtime.bridge.introspect import FunctionSpec
from jac_converge.app_runtime.bridge.program import GUEST_ROOT, Call, Run
from jac_converge.app_runtime.stores import Conflict, DocumentStore

__all__ = ["remove_nodes"]

ATTEMPTS = 5  # runs of one removal; what others change all the time has its turn another day


def remove_nodes(store: DocumentStore, ids: Collection[str]) -> int:
    """Remove nodes and their edges in one commit; returns how many.

    Args:
        store: may be in use.
        ids: of nodes, and of roots of accounts that are gone; those that the app cannot read any
            more, or cannot unlink, stay.
    """
    spec = FunctionSpec.of_ours("remove_nodes", lambda: _destroy([UUID(id_) for id_ in ids]))
    for _ in range(ATTEMPTS):
        with store.exclusive() as view:
            run = Run(Call(spec=spec, fields={}, root=lambda _: GUEST_ROOT), view, too_late=bool)
            try:
                with run.active():
                    return int(run.finish(run.begin()).result)
            except Conflict:
                continue
    return 0


def _destroy(ids: Collection[UUID]) -> int:
    context = Jac.get_context()
    context.user_root = context.system_root  # a guest may not unlink all that it could link
    nodes = context.mem.batch_get(ids).values()
    removable = _removable(context.mem, nodes)
    Jac.destroy(removable)
    return len(removable)


def _removable(memory: Any, nodes: Collection[Any]) -> list[Any]:
    """Leave out nodes beside one of a class that is gone: its list of edges cannot be written.

    It reads edges and neighbours in two round trips, which jaclang would read one by one.
    """
    edges = memory.batch_get([edge.id for node in nodes for edge in node.edges])
    ends = memory.batch_get([end.id for edge in edges.values() for end in _ends(edge)])
    parts = {node.id: {part.id for part in _around(node, edges)} for node in nodes}
    unread = set().union(*parts.values()) - edges.keys() - ends.keys()
    lost = memory.read([id_.hex for id_ in unread])  # what others removed is not among them
    return [node for node in nodes if not any(id_.hex in lost for id_ in parts[node.id])]


def _around(node: Any, edges: Mapping[UUID, Any]) -> Iterator[Any]:
    for edge in node.edges:
        yield edge
        if edge.id in edges:
            yield from _ends(edges[edge.id])


def _ends(edge: Any) -> tuple[Any, Any]:
    return edge.source, edge.target
