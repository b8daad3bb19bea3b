"""The simulation notices when a rule of the cache is taken away, each of them.

What stands here are wrong caches and wrong tiers. Were one of them not found, the simulation would
prove less than it says, or the rule would be one too many.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from jac_converge.app_runtime.stores import WriteBatch, epochs, tiered
from jac_converge.app_runtime.stores.cache import CacheDown, Epoch, Fill, Found, Head, Release
from jac_converge.app_runtime.stores.epochs import Epochs, Sight
from jac_converge.app_runtime.stores.tiered import TieredStore
from tests.unit.app_runtime import memory_cache, test_coherence
from tests.unit.app_runtime.memory_cache import MemoryCache, Register
from tests.unit.app_runtime.test_coherence import live

SEEDS = 200  # the rule that is hardest to notice takes 34
STEPS = 150
Rule = Callable[[pytest.MonkeyPatch], None]


def constant(module: Any, name: str, value: float) -> Rule:
    """Have another time limit."""
    return lambda patch: patch.setattr(module, name, value)


def method(class_: type, name: str, wrong: Callable[..., Any]) -> Rule:
    """Have another method, which gets the right one first."""

    def changed(patch: pytest.MonkeyPatch) -> None:
        right = getattr(class_, name)
        patch.setattr(
            class_, name, lambda self, *given, **named: wrong(right, self, *given, **named)
        )

    return changed


def counts_from_the_answer(right: Callable[..., Sight], self: Epochs) -> Sight:
    """Take a slow answer for news."""
    sight = right(self)
    self._last = replace(sight, asked=self._clock())
    return self._last


def fills_without_a_lease(_: Any, self: MemoryCache, fill: Fill) -> None:
    """Believe every reader."""
    self._check(fill.epoch)
    for document in fill.documents:
        self._put(fill.epoch, document)


def leases_what_is_held(
    right: Callable[..., Found], self: MemoryCache, epoch: Epoch, ids: Collection[str], token: str
) -> Found:
    """Let readers fill while somebody commits."""
    register, _ = self._register(epoch)
    held, register.held = register.held, {}
    found = right(self, epoch, ids, token)
    register.held = held
    return found


def holds_and_keeps(
    right: Callable[..., Any], self: MemoryCache, epoch: Epoch, ids: Collection[str], token: str
) -> dict[str, Head]:
    """Leave the documents where they are."""
    kept = dict(self.values)
    heads: dict[str, Head] = right(self, epoch, ids, token)
    self.values |= kept
    return heads


def holds_alone(
    right: Callable[..., Any], self: MemoryCache, epoch: Epoch, ids: Collection[str], token: str
) -> dict[str, Head]:
    """Have one hold per document, the last."""
    register, _ = self._register(epoch)
    for id_ in ids:
        register.held.pop(id_, None)
    heads: dict[str, Head] = right(self, epoch, ids, token)
    return heads


def puts_what_was_joined(right: Callable[..., None], self: MemoryCache, release: Release) -> None:
    """Believe the first of two writers."""
    register, _ = self._register(release.epoch)
    register.joined.clear()
    right(self, release)


def releases_the_holds_of_all(
    right: Callable[..., None], self: MemoryCache, release: Release
) -> None:
    """End the holds of others as well."""
    register, _ = self._register(release.epoch)
    for id_ in release.documents:
        if release.token in register.held.get(id_, {}):
            register.held[id_] = {release.token: register.held[id_][release.token]}
    right(self, release)


def releases_puts_without_a_hold(
    right: Callable[..., None], self: MemoryCache, release: Release
) -> None:
    """Put what was committed, whatever became of the hold."""
    for id_, document in release.documents.items():
        if document is not None and not self._register(release.epoch)[0].held.get(id_):
            self._put(release.epoch, document)
    right(self, release)


def is_born_when_prepared(right: Callable[..., str], self: MemoryCache, name: str) -> str:
    """Have a register before its epoch is in use."""
    self.registers.setdefault(name, Register(born=self._clock()))
    return right(self, name)


def goes_on_without_a_hold(
    right: Callable[..., Any], self: TieredStore, ids: Collection[str]
) -> Any:
    """Commit where the cache cannot be told, and tell nobody."""
    sight = self._epochs.trusted() or self._epochs.look()
    if sight.epoch is not None:
        try:
            heads = self._cache.hold(sight.epoch, ids, token := self._token())
        except CacheDown:
            return tiered._Guard(asked=sight.asked, epoch=None, token="", heads={})
        return tiered._Guard(asked=sight.asked, epoch=sight.epoch, token=token, heads=heads)
    return right(self, ids)


def releases_before_it_commits(_: Any, self: TieredStore, batch: WriteBatch) -> None:
    """Take a commit for done when it begins."""
    ids = [document.id for document in batch.creates + batch.updates]
    ids += [removal.id for removal in batch.removals]
    self._look_soon()
    self._release(self._guard(ids), dict.fromkeys(ids))
    self._store.commit(batch)


def lets_go_of_an_unknown_outcome(_: Any, self: TieredStore, batch: WriteBatch) -> None:
    """Take no answer for a refusal."""
    ids = [document.id for document in batch.creates + batch.updates]
    ids += [removal.id for removal in batch.removals]
    self._look_soon()
    guard = self._guard(ids)
    try:
        self._store.commit(batch)
    finally:
        self._release(guard, dict.fromkeys(ids))


def opens_under_the_same_name(
    right: Callable[..., None], self: Epochs, sight: Sight, epoch: Epoch
) -> None:
    """Have the keys of an epoch before."""
    right(self, sight, replace(epoch, name="always"))


RULES: dict[str, Rule] = {
    "a sight counts for two seconds": constant(epochs, "TRUST", 20.0),
    "a sight counts from before the question": method(Epochs, "look", counts_from_the_answer),
    "who closes waits until nobody trusts": constant(epochs, "CALM", 0.0),
    "a closed epoch stays closed for a while": constant(tiered, "REOPEN", 0.0),
    "a late commit guards again": constant(tiered, "TIMELY", 1e9),
    "a hold lasts": constant(memory_cache, "HOLD", 0.0),
    "a new register is cold": constant(memory_cache, "COLD", 0.0),
    "a register is born at its first use": method(MemoryCache, "probe", is_born_when_prepared),
    "a fill needs its lease": method(MemoryCache, "_fill", fills_without_a_lease),
    "no lease is given where somebody holds": method(MemoryCache, "read", leases_what_is_held),
    "a hold drops the document": method(MemoryCache, "hold", holds_and_keeps),
    "a hold joins those of others": method(MemoryCache, "hold", holds_alone),
    "nobody puts what two have held": method(MemoryCache, "_release", puts_what_was_joined),
    "each ends its own hold": method(MemoryCache, "_release", releases_the_holds_of_all),
    "a put needs its hold": method(MemoryCache, "_release", releases_puts_without_a_hold),
    "a restarted server is another one": method(MemoryCache, "_check", lambda *_: None),
    "who cannot hold closes the epoch": method(TieredStore, "_guard", goes_on_without_a_hold),
    "a hold stands until the commit is done": method(
        TieredStore, "commit", releases_before_it_commits
    ),
    "an unknown outcome keeps its hold": method(
        TieredStore, "commit", lets_go_of_an_unknown_outcome
    ),
    "each epoch has a name of its own": method(Epochs, "open", opens_under_the_same_name),
}


@pytest.mark.parametrize("rule", RULES)
def test_simulation_finds_what_breaks_without_a_rule(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By chance, or in the scenario that was made for it."""
    RULES[rule](monkeypatch)
    assert _scenario_that_fails() or any(_is_stale(seed) for seed in range(SEEDS))


def _scenario_that_fails() -> str:
    for name, scenario in vars(test_coherence).items():
        if name.startswith("test_") and name != "test_no_read_is_stale":
            try:
                scenario()
            except AssertionError:
                return name
    return ""


def _is_stale(seed: int) -> bool:
    try:
        live(seed, STEPS)
    except AssertionError as error:
        return "acknowledged before" in str(error)
    return False
