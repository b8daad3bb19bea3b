"""Lets the peer write to the MongoDB-wire server of the tests, which knows no update pipelines.

The peer updates an edge list by one `findAndModify` with a pipeline. Here that command is worked
out and passed on as a plain update of the same document: one command in, one command out. It
changes with the peer, and goes when the server of the tests learns pipelines.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any

import bson
from pymongo import MongoClient

__all__ = ["plain_updates"]

HEADER = struct.Struct("<iiii")
FLAGS = struct.Struct("<I")
BODY = HEADER.size + FLAGS.size + 1
CHECKSUM = 1  # flag of a message that ends with one


def plain_updates(mongo_url: str) -> Callable[[bytes], bytes]:
    """Return a function that rewrites messages.

    Args:
        mongo_url: of the server, past every proxy.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_url)

    def rewrite(message: bytes) -> bytes:
        # The name is the first key of the body, if this is a message with a body at all.
        if b"findAndModify\0" not in message[BODY : BODY + 32]:
            return message
        (size,) = struct.unpack_from("<i", message, BODY)
        command = bson.decode(message[BODY : BODY + size])
        if not isinstance(command["update"], list):
            return message
        found = client[command["$db"]][command["findAndModify"]].find_one(command["query"])
        (stage,) = command["update"]
        old = (found or {}).get("data", {})
        command["update"] = {"$set": {k: _value(k, v, old) for k, v in stage["$set"].items()}}
        command.pop("fields", None)  # the whole document in the answer does as well
        body = bson.encode(command)
        _, request, response, opcode = HEADER.unpack_from(message)
        (flags,) = FLAGS.unpack_from(message, HEADER.size)
        head = HEADER.pack(BODY + len(body), request, response, opcode)
        return head + FLAGS.pack(flags & ~CHECKSUM) + b"\0" + body

    return rewrite


def _value(key: str, expression: Any, old: Mapping[str, Any]) -> Any:
    """Work out the kinds of expression that the peer uses."""
    if key == "data.version":
        return old.get("version", 0) + 1
    if key == "data.edges":
        kept, added = expression["$let"]["in"]["$concatArrays"]
        removed = kept["$filter"]["cond"]["$not"][0]["$in"][1]
        edges = [edge for edge in old.get("edges", []) if edge not in removed]
        return edges + [edge for edge in added["$filter"]["input"] if edge not in edges]
    if isinstance(expression, dict):
        return expression["$literal"]
    return expression
