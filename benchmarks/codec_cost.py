"""What it costs to turn anchors into documents and back, beside jaclang's own serializer.

Both give and take plain values, before JSON. The same anchors go through both, in turn.
"""

import dataclasses
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from jaclang.jac0core.archetype import Anchor, EdgeAnchor, GenericEdge, NodeAnchor, Root
from jaclang.jac0core.runtime import JacRuntime as Jac
from jaclang.runtimelib.serializer import Serializer

from benchmarks.table import Table, at_most
from jac_converge.app_runtime.bridge.anchors import (
    StoredEdge,
    StoredNode,
    body_of,
    fill,
    kind_of,
)
from jac_converge.app_runtime.bridge.edges import entry_of, hex_of
from jac_converge.app_runtime.bridge.memory import RequestMemory
from jac_converge.app_runtime.bridge.program import Program
from jac_converge.app_runtime.stores import Document
from jac_converge.app_runtime.stores.shelf import Shelf

__all__ = ["measure"]

EDGES = 100
AT_ONCE = 50  # documents between two looks at the clock
LIMIT = 0.25  # of jaclang's time


def measure(table: Table, app: Path, rounds: int) -> None:
    """Print a line for each kind of document and each direction.

    Args:
        table: where to.
        app: a copy of the app of the benchmark; it is compiled beside it.
        rounds: of 50 documents each, for both.
    """
    Program(app)
    # It warns about each date that it writes, and a line of a log is no part of the cost.
    logging.getLogger("jaclang").setLevel(logging.ERROR)
    (module,) = Jac.jac_import(target=app.stem, base_path=str(app.parent), lng="jac")
    table.part("Codec, per document", "ours µs", "jaclang µs", "ratio")
    shelf = Shelf(app.with_name("codec.db"))  # empty; what memories read from
    for name, anchor in _anchors(module.Sample):
        for verb, ours, theirs in _both(anchor, shelf):
            pairs = [(_microseconds(ours), _microseconds(theirs)) for _ in range(rounds)]
            ratio = statistics.median(one / other for one, other in pairs)
            cells = [f"{statistics.median(times):.1f}" for times in zip(*pairs, strict=True)]
            table.row(f"{verb} {name}", *cells, f"{ratio:.2f}", limits=(at_most(ratio, LIMIT),))
    _measure_new_graph(table, module.Sample, rounds)


def _measure_new_graph(table: Table, sample: type, rounds: int) -> None:
    """Print what each document costs of a graph that was just made.

    The texts of ids are made for the first time here, and once for all documents of the graph; the
    lines above find them made.
    """
    pairs = []
    for _ in range(rounds):
        graph = _new_graph(sample)
        ours, theirs = _seconds(_encode, graph), _seconds(_serialize, graph)
        pairs.append((ours / len(graph) * 1e6, theirs / len(graph) * 1e6))
    ratio = statistics.median(one / other for one, other in pairs)
    cells = [f"{statistics.median(times):.1f}" for times in zip(*pairs, strict=True)]
    name = f"encode a new root, its {EDGES} edges and their nodes"
    table.row(name, *cells, f"{ratio:.2f}", limits=(at_most(ratio, LIMIT),))


def _both(
    anchor: Anchor, shelf: Shelf
) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Yield what is done to an anchor: in a word, by us, and by jaclang."""
    id_, theirs = anchor.id.hex, _serialize(anchor)
    document = Document(id=id_, kind=kind_of(anchor), body=_encode(anchor), version=1)
    cls = StoredEdge if isinstance(anchor, EdgeAnchor) else StoredNode

    def decode() -> Any:
        # What each document of a request costs: of its memory, only the first pays.
        made: Any = object.__new__(cls)
        made.__dict__["id"] = anchor.id
        assert fill(made, document, memory)
        return made

    memory = RequestMemory(shelf)
    assert Serializer.deserialize(theirs) is not None
    yield "encode", lambda: _encode(anchor), lambda: _serialize(anchor)
    yield "decode", decode, lambda: Serializer.deserialize(theirs)
    if isinstance(anchor, NodeAnchor) and len(anchor.edges) > 1:
        yield (
            "decode, with its edges,",
            lambda: list(decode().edges),
            lambda: Serializer.deserialize(theirs),
        )


def _encode(anchor: Any) -> dict[str, Any]:
    """Do what a commit does with a new node or edge."""
    body = body_of(anchor)
    if isinstance(anchor, NodeAnchor):
        id_ = hex_of(anchor)
        body["edges"] = [entry_of(edge, id_) for edge in anchor.edges]
    return body


def _anchors(sample: type) -> Iterator[tuple[str, Anchor]]:
    """Yield what apps store, as it is after a read."""
    owner = uuid4()
    node, root = sample().__jac__, Root().__jac__
    edge = _edge(node)
    node.edges = [edge]
    root.edges = [_edge(root) for _ in range(EDGES)]
    for anchor in (node, edge):
        anchor.root = owner
        anchor.persistent = True
    fields = len(dataclasses.fields(sample))
    yield f"a node of {fields} fields", node
    yield "an edge", edge
    yield f"a root of {EDGES} edges", root


def _new_graph(sample: type) -> list[Anchor]:
    """A root with nodes, each behind an edge, as a request has just made them."""
    root = Root().__jac__
    nodes = [sample().__jac__ for _ in range(EDGES)]
    root.edges = [
        EdgeAnchor(archetype=GenericEdge(), source=root, target=node, is_undirected=False)
        for node in nodes
    ]
    for edge, node in zip(root.edges, nodes, strict=True):
        node.edges = [edge]
        node.root = edge.root = root.id
        node.persistent = edge.persistent = True
    return [root, *root.edges, *nodes]


def _edge(source: Anchor) -> EdgeAnchor:
    target: Any = object.__new__(NodeAnchor)
    target.__dict__["id"] = uuid4()
    return EdgeAnchor(archetype=GenericEdge(), source=source, target=target, is_undirected=False)


def _serialize(anchor: Anchor) -> Any:
    return Serializer.serialize(anchor, include_type=True)


def _seconds(work: Callable[[Any], Any], anchors: list[Anchor]) -> float:
    began = time.perf_counter()
    for anchor in anchors:
        work(anchor)
    return time.perf_counter() - began


def _microseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(AT_ONCE):
        work()
    return (time.perf_counter() - began) / AT_ONCE * 1e6
