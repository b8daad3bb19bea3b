"""Edges tied and cut as one step each, whatever other threads of the request do.

An edge stands in the lists of both its nodes and is a document of its own. jaclang makes that in
several steps, and a commit of another thread in between would store a part of them: an entry whose
edge is not there, or an edge that leads to no node. It changes with what tying and cutting mean.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from jaclang.jac0core.archetype import (
    Anchor,
    Archetype,
    EdgeAnchor,
    GenericEdge,
    NodeAnchor,
    NodeArchetype,
    Root,
)
from jaclang.jac0core.constant import EdgeDir
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge import graph
from jac_converge.app_runtime.bridge.edges import EdgeList
from jac_converge.app_runtime.bridge.memory import RequestMemory
from jac_converge.app_runtime.bridge.rights import is_system

__all__ = ["build_edge", "destroy", "detach", "disconnect", "install", "remove_edge", "save"]


class _Birth:
    """The anchor of a node, made when somebody first asks: one for all threads, and for good."""

    def __get__(self, node: Any, owner: Any = None) -> Any:
        if node is None:
            return self
        made = NodeAnchor(archetype=node, edges=EdgeList())
        return node.__dict__.setdefault("__jac__", made)


def install() -> None:
    """Let new nodes be born with a list of edges that can stay when they are stored."""
    NodeArchetype.__jac__ = _Birth()


def build_edge(
    is_undirected: bool,  # noqa: FBT001 - jaclang's
    conn_type: Any,
    conn_assign: tuple[tuple[str, ...], tuple[Any, ...]] | None,
) -> Callable[[Any, Any], Any]:
    """Give what ties two nodes (jaclang's `++>`); values that do not fit tie nothing."""
    made_of = conn_type or GenericEdge

    def tie(source: Any, target: Any) -> Any:
        edge = made_of() if isinstance(made_of, type) else made_of
        for name, value in zip(*conn_assign, strict=False) if conn_assign else ():
            if not hasattr(edge, name):
                raise ValueError(f"Invalid attribute: {name}")
            setattr(edge, name, value)
        anchor = EdgeAnchor(
            archetype=edge, source=source, target=target, is_undirected=is_undirected
        )
        edge.__jac__ = anchor
        with _one_step():
            source.edges.append(anchor)
            target.edges.append(anchor)
            if source.persistent or target.persistent:
                Jac.save(anchor)
        return edge

    return tie


def save(obj: Any) -> bool:
    """Take a node or edge, and what is new and hangs together with it, into the unit of work."""
    first = obj.__jac__ if isinstance(obj, Archetype) else obj
    context = Jac.get_context()
    waiting = [first]
    with _one_step():
        while waiting:  # a list, since a chain may be longer than Python's stack
            anchor = waiting.pop()
            if anchor.persistent and anchor is not first:
                continue  # it came along another way
            if not anchor.persistent and not anchor.root:
                anchor.persistent = True
                anchor.root = context.user_root.id
            context.mem.put(anchor)
            waiting += reversed(_new_beside(anchor))
    return True


def _new_beside(anchor: Any) -> list[Any]:
    if isinstance(anchor, EdgeAnchor):
        beside = [anchor.source, anchor.target]
    elif isinstance(anchor, NodeAnchor):
        edges = anchor.edges
        beside = edges.added() if isinstance(edges, EdgeList) else list(edges)
    else:
        return []
    return [it for it in beside if it.is_populated() and not it.persistent]


def detach(edge: Any) -> bool:
    """Take an edge out of the lists of both its nodes."""
    with _one_step():
        Jac.remove_edge(nd=edge.source, edge=edge)
        Jac.remove_edge(nd=edge.target, edge=edge)
    return True


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
"""A plain list has no lock of its own; to cut an edge takes no time."""


def destroy(objs: Any) -> bool:
    """Delete nodes and edges; what a node takes along is read at once, not one by one.

    An edge that cannot be read, since others removed it or since its class is gone, is left alone.

    Raises:
        ValueError: one is a root, which the system alone may clear away.
    """
    readable = []
    for thing in objs if isinstance(objs, list) else [objs]:
        anchor = thing.__jac__ if isinstance(thing, Archetype) else thing
        if not isinstance(anchor, Anchor):
            break
        if isinstance(anchor, NodeAnchor | EdgeAnchor) and not graph.is_there(anchor):
            continue
        is_root = isinstance(anchor, NodeAnchor) and isinstance(anchor.archetype, Root)
        if is_root and not is_system():
            raise ValueError("a root cannot be deleted")
        if isinstance(anchor, NodeAnchor):
            graph.read_around(anchor)
        readable.append(anchor)
    for anchor in readable:
        _destroy(anchor)
    return True


def _destroy(anchor: Any) -> None:
    if not Jac.check_write_access(anchor, op_hint="delete"):
        return
    if isinstance(anchor, NodeAnchor):
        for edge in list(anchor.edges):
            Jac.destroy([edge])
    with _one_step():
        if isinstance(anchor, EdgeAnchor):
            Jac.detach(anchor)
        Jac.get_context().mem.delete(anchor.id)


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


def _one_step() -> AbstractContextManager[Any]:
    memory = Jac.get_context().mem
    return memory.tying if isinstance(memory, RequestMemory) else nullcontext()
