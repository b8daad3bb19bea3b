"""A store with a cache in front that never answers what an acknowledged commit has overtaken.

| who | does | in one round trip of the cache |
|---|---|---|
| read | asks the cache in the epoch it trusts, or the store | documents, *leases* on absent ones |
| | reads what is missing from the store | |
| | later: fills, where the lease is still its own | all fills of a moment |
| commit | *guards* its ids, see below | drops documents and leases, *holds* the ids |
| | commits to the store | |
| | where that took long: guards them again | |
| | acknowledges | |
| | later: lets go and puts, where nobody joined its hold | all puts of a moment |

Guarding, by what the epoch is (`epochs`): *open*: hold the ids on its server; where that fails,
close the epoch and go on as if closed. *Closed*: wait until nobody trusts an older epoch (only
just after it was closed), then go on without a cache.

**Why no read is stale.** A commit lands in the store at L, and its guard looked at the epoch at c,
before it began. A value from before L can be read after the acknowledgement only if it was in the
cache when the guard was done, or was filled later by somebody who read the store before L.

- *In the cache when the guard was done.* Open: the hold dropped it. Other epochs: an older one was
  closed for `REOPEN` > `CALM` before this one opened, so nobody trusts it; a newer one began empty.
  Closed: whoever trusted an open one looked before it was closed, at most `TRUST` ago by their own
  clock, and the guard has waited longer than that.
- *Filled later.* Filling needs a lease. None is given in the epoch while the hold stands, `HOLD`;
  and in a newer epoch none before its register is `COLD` old, which is later than c + `COLD`, as
  the document names one epoch at a time. A commit that ended by c + `TIMELY` landed before either.
  One that ended later guards again, and all leases from after that guard's c are from after L.
- *Put.* Nobody joined the hold, so nobody else committed between the hold and the put.
- *The cache forgot.* Holds of an epoch are one key with the time of its birth. If it goes, by
  eviction or a flush, the next one is born then and lets nobody lease for `COLD`; a commit whose
  hold is lost has landed by then, or guards again. A server that restarts or is replaced is another
  server, and each answer is known to be from the epoch's own.

A process that dies leaves a hold or a lease, and so a miss. A write whose outcome is not known
leaves its hold too. Clocks may be wrong by any amount, and their rates by ten per cent.
"""

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jac_converge.app_runtime.stores.background import Background
from jac_converge.app_runtime.stores.cache import (
    Cache,
    CacheDown,
    Epoch,
    Fill,
    Head,
    Release,
)
from jac_converge.app_runtime.stores.document import (
    Conflict,
    Document,
    DocumentStore,
    StoreError,
    UnknownOutcome,
    WriteBatch,
)
from jac_converge.app_runtime.stores.epochs import BEAT, REOPEN, TIMELY, Epochs, Sight
from jac_converge.app_runtime.stores.tally import Tally

__all__ = ["TieredStore", "clock"]


def clock() -> float:
    """Return s from anywhere, counting on while the machine sleeps, where it can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guard:
    asked: float
    epoch: Epoch | None
    token: str
    heads: dict[str, Head]


class TieredStore:
    """A `DocumentStore` over a cache and a store."""

    def __init__(
        self,
        cache: Cache,
        store: DocumentStore,
        *,
        background: Background,
        tally: Tally | None = None,
        clock: Callable[[], float] = clock,
        sleep: Callable[[float], None] = time.sleep,
        token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """Put a cache in front of a store; both are closed with it.

        Args:
            cache: every process that commits to the store has to use one.
            store: the truth.
            background: for what nobody waits for.
            tally: counts hits and misses.
            clock: s, from anywhere; it also counts while the machine sleeps.
            sleep: called with s.
            token: makes a text that nobody else ever makes.
        """
        self._cache = cache
        self._store = store
        self._background = background
        self._tally = tally or Tally(tier="cache")
        self._clock = clock
        self._sleep = sleep
        self._token = token
        self._epochs = Epochs(store, clock=clock, token=token)

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read from the cache, and from the store what is not there."""
        wanted = list(dict.fromkeys(ids))
        sight = self._epochs.trusted()
        self._look_soon()
        if not wanted or sight is None or sight.epoch is None:
            return self._store.get(wanted)
        epoch, token = sight.epoch, self._token()
        try:
            found = self._cache.read(epoch, wanted, token)
        except CacheDown:
            return self._store.get(wanted)
        missing = [id_ for id_ in wanted if id_ not in found.documents]
        self._tally.add(hits=len(found.documents), misses=len(missing))
        if not missing:
            return dict(found.documents)
        read = self._store.get(missing)
        filling = tuple(read[id_] for id_ in read if id_ in found.leased)
        if filling:
            self._background.settle(Fill(epoch=epoch, token=token, documents=filling))
        return {**found.documents, **read}

    def find(self, kind: str) -> list[Document]:
        """Ask the store."""
        return self._store.find(kind)

    def near(self, group: str, stamp: int, limit: int) -> list[Document]:
        """Ask the store."""
        return self._store.near(group, stamp, limit)

    def scan(self, after: str, limit: int) -> list[Document]:
        """Ask the store."""
        return self._store.scan(after, limit)

    def commit(self, batch: WriteBatch) -> None:
        """Guard what will change, commit to the store, and put what is new into the cache."""
        if not batch:
            return
        ids = [document.id for document in batch.creates + batch.updates]
        ids += [removal.id for removal in batch.removals]
        self._look_soon()
        guard = self._guard(ids)
        try:
            self._store.commit(batch)
        except Conflict:
            self._tally.add(conflicts=1)
            self._release(guard, dict.fromkeys(ids))
            raise
        late = self._clock() > guard.asked + TIMELY
        if late:
            self._release(self._guard_stored(ids), dict.fromkeys(ids))
        self._release(guard, dict.fromkeys(ids) | ({} if late else _new(batch, guard.heads)))

    @contextmanager
    def exclusive(self) -> Iterator[DocumentStore]:
        """Have no lock, whatever the store has: guarding a commit may itself need to write."""
        yield self

    def ping(self) -> None:
        """Ask the store: without the cache, all is well."""
        self._store.ping()

    def close(self) -> None:
        """Let the cache have what is on its way, and close both."""
        self._background.close()
        self._cache.close()
        self._store.close()

    def _guard(self, ids: Collection[str]) -> _Guard:
        """See to it that nothing older than this moment is read from a cache from now on."""
        token, heads = self._token(), dict[str, Head]()
        sight = self._epochs.trusted() or self._epochs.look()
        while True:
            if sight.epoch is not None:
                try:
                    heads = self._cache.hold(sight.epoch, ids, token)
                    break
                except CacheDown:
                    self._epochs.close(sight)
            elif (pause := sight.calm_at - self._clock()) > 0:
                self._sleep(pause)
            else:
                self._keep_closed(sight)
                break
            sight = self._epochs.look()
        return _Guard(asked=sight.asked, epoch=sight.epoch, token=token, heads=heads)

    def _guard_stored(self, ids: Collection[str]) -> _Guard:
        """Guard once more what is in the store already.

        Raises:
            UnknownOutcome: others may read what was there before, so it cannot be acknowledged; to
                say that nothing was stored would be worse.
        """
        try:
            return self._guard(ids)
        except StoreError as error:
            raise UnknownOutcome(
                f"cache guard failed after the commit (outcome unknown): {error}; "
                "read again before you do this again"
            ) from error

    def _keep_closed(self, sight: Sight) -> None:
        """Tell those who reach the cache that one who does not is at work."""
        if self._clock() - sight.since < BEAT:
            return
        try:
            self._cache.server(sight.name)
        except CacheDown:
            self._epochs.beat(sight)

    def _release(self, guard: _Guard, documents: dict[str, Document | None]) -> None:
        if guard.epoch is not None:
            self._background.settle(
                Release(epoch=guard.epoch, token=guard.token, documents=documents)
            )

    def _look_soon(self) -> None:
        if self._epochs.ageing():
            self._background.soon(self._look)

    def _look(self) -> None:
        """Look which epoch it is, and move to another where it is time to."""
        try:
            sight = self._epochs.look()
            if sight.epoch is not None:
                if self._cache.server(sight.name) != sight.epoch.server:
                    self._epochs.close(sight)
            elif sight.version == 0 or self._clock() - sight.since >= REOPEN:
                name = self._token()
                self._epochs.open(sight, Epoch(name=name, server=self._cache.probe(name)))
                self._epochs.look()
        except (CacheDown, StoreError):
            return  # requests go to the store meanwhile, which says what it has to say


def _new(batch: WriteBatch, heads: dict[str, Head]) -> dict[str, Document | None]:
    """Return what is known to be stored now, as it is stored."""
    new: dict[str, Document | None] = {
        document.id: document._replace(version=1) for document in batch.creates
    }
    for document in batch.updates:
        if (head := heads.get(document.id)) is not None:
            new[document.id] = document._replace(
                version=document.version + 1, group=head.group, stamp=head.stamp
            )
    return new
