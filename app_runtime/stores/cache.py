"""What a cache in front of a store must be able to do, and nothing that a database could not.

A cache may forget anything at any time, and it may be gone; `TieredStore` is right all the same.
It changes when the promise between the tiers changes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from jac_converge.app_runtime.stores.document import Document

__all__ = [
    "COLD",
    "HOLD",
    "LEASE",
    "Cache",
    "CacheDown",
    "Epoch",
    "Fill",
    "Found",
    "Head",
    "OtherServer",
    "Release",
    "Settlement",
]

COLD = 5.0  # s after its birth in which the register of an epoch lets nobody fill
HOLD = 30.0  # s after which a hold is one of a writer that died
LEASE = 10.0  # s in which a reader may fill what it missed


class CacheDown(Exception):
    """The cache cannot be used now; nothing is lost but speed."""


class OtherServer(CacheDown):
    """The cache answers, but it is not the server that this epoch is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A time in which one server, and no other, is the cache."""

    name: str
    """Random, so that no two epochs ever share a key."""
    server: str
    """Which server, and which of its databases; another after a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer to `Cache.read`."""

    documents: Mapping[str, Document]
    leased: frozenset[str]
    """Ids that the token of the read may fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a hold pushed out: a commit names neither group nor stamp of what it updates."""

    group: str
    stamp: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Documents as read from the store, for those ids whose lease is still this token's."""

    epoch: Epoch
    token: str
    documents: tuple[Document, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The end of a hold on each id; a document is put where nobody else ever joined the hold."""

    epoch: Epoch
    token: str
    documents: Mapping[str, Document | None]
    """Id -> what is stored now, None where it is gone or not known."""


Settlement = Fill | Release


class Cache(Protocol):
    """Documents by epoch and id; each method but `settle` is one round trip, for any number of ids.

    Raises:
        CacheDown: every method but `close`, within a second at most.
    """

    def server(self, name: str) -> str:
        """Return which server would keep an epoch of this name."""
        ...

    def probe(self, name: str) -> str:
        """Return as `server` does, having seen that it takes writes.

        Nothing of the epoch may be there yet: its register is born when it is first used.
        """
        ...

    def read(self, epoch: Epoch, ids: Collection[str], token: str) -> Found:
        """Return what is there; lease to the token what is absent, not held, and not cold."""
        ...

    def hold(self, epoch: Epoch, ids: Collection[str], token: str) -> dict[str, Head]:
        """Drop documents and leases; none come back before the token lets go, or `HOLD` is over.

        A hold joins those that are there.
        """
        ...

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Fill and let go, in one round trip for each epoch."""
        ...

    def close(self) -> None:
        """Let go of connections; idempotent."""
        ...
