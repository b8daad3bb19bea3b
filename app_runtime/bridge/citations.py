"""Which documents a document leads to, and whose it is: all that clearing up knows of bodies.

It changes with the form of bodies, and only with that.
"""

from collections.abc import Iterator

from jac_converge.app_runtime.bridge.edges import page_ids
from jac_converge.app_runtime.bridge.program import GUEST_ROOT
from jac_converge.app_runtime.stores import Document

__all__ = ["GRAPH", "citations", "of_guests"]

GRAPH = frozenset({"root", "node", "edge", "page"})
"""The kinds that are found by following citations."""


def citations(document: Document) -> Iterator[str]:
    """Yield the ids of what this document leads to; some of them may not be there.

    A node and its pages lead to each other. To give one id too many keeps a document for ever; to
    give one too few removes what somebody still needs.
    """
    body = document.body
    if document.kind == "edge":
        yield body["source"]
        yield body["target"]
        return
    if document.kind == "page":
        yield document.id.partition(".")[0]
    yield from (entry[:32] for entry in body.get("edges", ()))
    yield from page_ids(document.id, body.get("pages", 0))


def of_guests(document: Document) -> bool:
    """Say whether this is a node that an anonymous caller made, wherever it hangs."""
    return document.kind == "node" and document.body.get("owner") == GUEST_ROOT.hex
