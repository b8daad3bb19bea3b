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
from jac_converge.app_runtime.bridge.codec import decode, encode, kind_of, stub
from jac_converge.app_runtime.bridge.program import Program

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
    for name, anchor in _anchors(module.Sample):
        for verb, ours, theirs in _both(anchor):
            pairs = [(_microseconds(ours), _microseconds(theirs)) for _ in range(rounds)]
            ratio = statistics.median(one / other for one, other in pairs)
            cells = [f"{statistics.median(times):.1f}" for times in zip(*pairs, strict=True)]
            limits = (at_most(ratio, LIMIT),)
            table.row(f"{verb} {name}", *cells, f"{ratio:.2f}", limits=limits)


def _both(anchor: Anchor) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Yield what is done to an anchor: in a word, by us, and by jaclang."""
    body, kind, theirs = encode(anchor), kind_of(anchor), _serialize(anchor)
    assert decode(anchor.id, kind, body, 1) is not None
    assert Serializer.deserialize(theirs) is not None
    yield "encode", lambda: encode(anchor), lambda: _serialize(anchor)
    yield (
        "decode",
        lambda: decode(anchor.id, kind, body, 1),
        lambda: Serializer.deserialize(theirs),
    )


def _anchors(sample: type) -> Iterator[tuple[str, Anchor]]:
    """Yield what apps store, as it is after a read."""
    owner = uuid4()
    node, root = sample().__jac__, Root().__jac__
    node.edges = [stub(EdgeAnchor, uuid4())]
    edge = EdgeAnchor(
        archetype=GenericEdge(),
        source=stub(NodeAnchor, uuid4()),
        target=stub(NodeAnchor, uuid4()),
        is_undirected=False,
    )
    root.edges = [stub(EdgeAnchor, uuid4()) for _ in range(EDGES)]
    for anchor in (node, edge):
        anchor.root = owner
        anchor.persistent = True
    fields = len(dataclasses.fields(sample))
    yield f"a node of {fields} fields", node
    yield "an edge", edge
    yield f"a root of {EDGES} edges", root


def _serialize(anchor: Anchor) -> Any:
    return Serializer.serialize(anchor, include_type=True)


def _microseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(AT_ONCE):
        work()
    return (time.perf_counter() - began) / AT_ONCE * 1e6
