"""What the scripts of the cache do, once more in Python; the contract tests hold both to it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from jac_converge.app_runtime.stores.cache import (
    COLD,
    HOLD,
    LEASE,
    Epoch,
    Fill,
    Found,
    Head,
    OtherServer,
    Release,
    Settlement,
)
from jac_converge.app_runtime.stores.document import Document


@dataclass(slots=True)
class Register:
    """The holds of one epoch."""

    born: float
    held: dict[str, dict[str, float]] = field(default_factory=dict)
    """Id -> token -> end, s."""
    joined: set[str] = field(default_factory=set)
    """Ids whose hold has had several tokens."""


class MemoryCache:
    """A `Cache` in memory, with a server that can be flushed, restarted and have keys evicted."""

    def __init__(self, clock: Callable[[], float], *, ttl: float = 3600) -> None:
        self._clock = clock
        self._ttl = ttl
        self.run = 0
        self.registers: dict[str, Register] = {}
        self.values: dict[tuple[str, str], tuple[Document | str, float]] = {}

    def server(self, name: str) -> str:  # noqa: ARG002 - there is one
        """Return the run."""
        return f"run{self.run}"

    def probe(self, name: str) -> str:
        """Take writes."""
        return self.server(name)

    def read(self, epoch: Epoch, ids: Collection[str], token: str) -> Found:
        """Model of `READ`."""
        register, chilly = self._register(epoch)
        documents, leased = {}, set()
        for id_ in ids:
            value = self._value(epoch, id_)
            if isinstance(value, Document):
                documents[id_] = value
            elif value == token:
                leased.add(id_)
            elif value is None and not chilly and not self._others(register, id_, ""):
                self.values[epoch.name, id_] = (token, self._clock() + LEASE)
                leased.add(id_)
        return Found(documents=documents, leased=frozenset(leased))

    def hold(self, epoch: Epoch, ids: Collection[str], token: str) -> dict[str, Head]:
        """Model of `HOLD`."""
        register, _ = self._register(epoch)
        heads = {}
        for id_ in ids:
            others = self._others(register, id_, token)
            (register.joined.add if others else register.joined.discard)(id_)
            register.held[id_] = {**others, token: self._clock() + HOLD}
            old = self._value(epoch, id_)
            if isinstance(old, Document):
                heads[id_] = Head(group=old.group, stamp=old.stamp)
            self.values.pop((epoch.name, id_), None)
        return heads

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Models of `FILL` and `RELEASE`."""
        for settlement in settlements:
            if isinstance(settlement, Fill):
                self._fill(settlement)
            else:
                self._release(settlement)

    def close(self) -> None:
        """Have nothing to close."""

    def _fill(self, fill: Fill) -> None:
        self._check(fill.epoch)
        for document in fill.documents:
            if self._value(fill.epoch, document.id) == fill.token:
                self._put(fill.epoch, document)

    def _release(self, release: Release) -> None:
        register, chilly = self._register(release.epoch)
        for id_, document in release.documents.items():
            if release.token not in register.held.get(id_, {}):
                continue
            others = self._others(register, id_, release.token)
            if others:
                register.joined.add(id_)
                register.held[id_] = others
                continue
            del register.held[id_]
            if document is not None and not chilly and id_ not in register.joined:
                self._put(release.epoch, document)

    def _put(self, epoch: Epoch, document: Document) -> None:
        self.values[epoch.name, document.id] = (document, self._clock() + self._ttl)

    def _check(self, epoch: Epoch) -> None:
        if epoch.server != self.server(epoch.name):
            raise OtherServer("another server")

    def _register(self, epoch: Epoch) -> tuple[Register, bool]:
        self._check(epoch)
        now = self._clock()
        register = self.registers.get(epoch.name)
        if register is None:
            register = self.registers[epoch.name] = Register(born=now)
        return register, now - register.born < COLD

    def _others(self, register: Register, id_: str, token: str) -> dict[str, float]:
        held = register.held.get(id_, {})
        return {who: end for who, end in held.items() if who != token and end > self._clock()}

    def _value(self, epoch: Epoch, id_: str) -> Document | str | None:
        value, end = self.values.get((epoch.name, id_), (None, 0.0))
        return value if end > self._clock() else None
