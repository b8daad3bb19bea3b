"""What a request costs as the data around it grows: documents of others, and edges of one's own.

Ours alone: the question is the ratio to the smallest. The sizes take turns.
"""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from benchmarks import speed
from benchmarks.clients import APP, ITEMS, Clients, bump, create, idle, read
from benchmarks.speed import Plan, Row
from benchmarks.table import Table
from jac_converge.app_runtime.stores import Document, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.app_runtime.tiers import shelf_file
from jac_converge.config.load import load_app
from tests.servers.jac_server import JacServer

__all__ = ["by_documents", "by_edges"]

BATCH = 20_000  # documents of one commit
GROUP = 100  # documents of one root
KEYS = 1 << 128
ROWS = (
    Row(name=f"read of {ITEMS} nodes", streams=read(ITEMS), connections=1),
    Row(name="increment of one node", streams=bump, connections=1),
    Row(name="create of one node", streams=create, connections=1),
)


def by_documents(table: Table, folder: Path, sizes: Sequence[int], plan: Plan) -> None:
    """Print what requests cost beside so many documents of others.

    Args:
        table: where to.
        folder: for the servers and their data.
        sizes: numbers of documents, the smallest first.
        plan: how long to measure.
    """
    table.part("Growth: documents of others on the shelf", "ms", "", "ratio")
    with ExitStack() as stack:
        clients = []
        for size in sizes:
            server = JacServer(APP, folder / str(size))
            _fill(server, size)
            clients.append(Clients(stack.enter_context(server)))
        for row in ROWS:
            rates = speed.rates([(row, those) for those in clients], plan)
            _rows(table, row.name, "documents", sizes, rates)


def by_edges(table: Table, folder: Path, sizes: Sequence[int], plan: Plan) -> None:
    """Print what a walker that does nothing costs at a root with so many edges."""
    table.part("Growth: edges of one's own root", "ms", "", "ratio")
    with JacServer(APP, folder) as server:
        clients, name = Clients(server), "walker that does nothing"
        rows = [Row(name=name, streams=idle(size), connections=1) for size in sizes]
        rates = speed.rates([(row, clients) for row in rows], plan)
        _rows(table, name, "edges", sizes, rates)


def _rows(
    table: Table, name: str, what: str, sizes: Sequence[int], rates: Sequence[Sequence[float]]
) -> None:
    """Print the time of a request at each size, and its ratio to that at the smallest."""
    for size, found in zip(sizes, rates, strict=True):
        times = [small / large for small, large in zip(rates[0], found, strict=True)]
        ms = 1000 / statistics.median(found)
        table.row(f"{name}, {size:,} {what}", f"{ms:.2f}", "", f"{statistics.median(times):.2f}")


def _fill(server: JacServer, size: int) -> None:
    app = load_app(server.file, environ={}, purpose="serve")
    shelf = Shelf(shelf_file(app))
    documents = _documents(size)
    while batch := tuple(islice(documents, BATCH)):
        shelf.commit(WriteBatch(creates=batch))
    shelf.close()


def _documents(size: int) -> Iterator[Document]:
    """Make nodes and edges of others, evenly over all keys: theirs lie between those of ours."""
    for number in range(size):
        owner = f"{number // GROUP:032x}"
        kind = "edge" if number % 2 else "node"
        ends = {"source": owner, "target": owner}
        body = {
            "class": "memory.Item" if kind == "node" else "jaclang.GenericEdge",
            "owner": owner,
            "fields": {"name": f"item {number}", "number": number} if kind == "node" else {},
            **({"edges": [f"{owner}<{owner}"]} if kind == "node" else ends),
        }
        id_ = f"{number * (KEYS // size):032x}"
        yield Document(id=id_, kind=kind, body=body, group=owner, stamp=number)
