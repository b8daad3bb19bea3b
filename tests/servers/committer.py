"""A process that makes one commit and can be killed at it: `python committer.py URI BATCH`.

It says "ready" once it is connected, commits when a line comes in, and then says "done".
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jac_converge.app_runtime.stores import Document, Removal, WriteBatch
from jac_converge.app_runtime.stores.mongo import Mongo

__all__ = ["committer"]

DATABASE = "test"


@contextmanager
def committer(uri: str, batch: WriteBatch) -> Iterator[subprocess.Popen[str]]:
    """Start it, wait until it is ready, and kill it in the end."""
    given = {
        "creates": [_given(document) for document in batch.creates],
        "updates": [_given(document) for document in batch.updates],
        "removals": [{"id": removal.id, "version": removal.version} for removal in batch.removals],
    }
    command = [sys.executable, __file__, uri, json.dumps(given)]
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


def _main(uri: str, batch: dict[str, Any]) -> None:
    store = Mongo.open(uri, database=DATABASE)
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
