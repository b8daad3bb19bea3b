"""A process that makes one commit and can be killed at it: `python committer.py URI ORDERS`.

It says "ready" once it is connected, commits when a line comes in, and then says "done".
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from jac_converge.app_runtime.stores import Document, Removal, WriteBatch
from jac_converge.app_runtime.stores.mongo import Mongo
from jac_converge.app_runtime.stores.mongo_parts import Parts
from jac_converge.app_runtime.stores.mongo_sending import Patience

__all__ = ["committer"]

DATABASE = "test"


@contextmanager
def committer(
    uri: str,
    batch: WriteBatch,
    *,
    patience: Mapping[str, float] | None = None,
    parts: Parts | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Start it, wait until it is ready, and kill it in the end.

    Args:
        uri: of MongoDB.
        batch: what to commit.
        patience: fields of `Patience` that differ from the default.
        parts: how to cut it.
    """
    given = {
        "creates": [_given(document) for document in batch.creates],
        "updates": [_given(document) for document in batch.updates],
        "removals": [{"id": removal.id, "version": removal.version} for removal in batch.removals],
    }
    orders = {"batch": given, "patience": dict(patience or {}), "parts": asdict(parts or Parts())}
    command = [sys.executable, __file__, uri, json.dumps(orders)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def _given(document: Document) -> dict[str, Any]:
    names = ("id", "kind", "body", "version", "group", "stamp")
    return {name: getattr(document, name) for name in names}


def _main(uri: str, orders: dict[str, Any]) -> None:
    patience, parts = Patience(**orders["patience"]), Parts(**orders["parts"])
    store, batch = (
        Mongo.open(uri, database=DATABASE, patience=patience, parts=parts),
        orders["batch"],
    )
    print("ready", flush=True)
    sys.stdin.readline()
    store.commit(
        WriteBatch(
            creates=tuple(Document(**given) for given in batch["creates"]),
            updates=tuple(Document(**given) for given in batch["updates"]),
            removals=tuple(Removal(**given) for given in batch["removals"]),
        )
    )
    print("done", flush=True)


if __name__ == "__main__":
    _main(sys.argv[1], json.loads(sys.argv[2]))
