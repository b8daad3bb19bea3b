"""Sessions on a real shelf, and on a MongoDB with a Redis in front of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

import pytest
import redis
from argon2 import PasswordHasher

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import MOST_ENDED, Accounts, Refused
from jac_converge.app_runtime.auth.sessions import (
    MOST,
    InvalidRefresh,
    Reused,
    Session,
    Sessions,
)
from jac_converge.app_runtime.stores import DocumentStore, WriteBatch
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.accounts_of import accounts_of
from tests.contract.mongo_points import opened
from tests.contract.warm_tiers import tiers, warm
from tests.servers.mongo_server import MongoServer
from tests.servers.redis_server import RedisServer

NAME, PASSWORD = "ann", "correct horse"
IDLE, LONGEST, ACCESS, GRACE = 100, 250, 60, 30


@dataclass(slots=True)
class World:
    """A store, what is in it, and a clock that a test sets."""

    store: DocumentStore
    now: float = 1_000_000.0
    accounts: Accounts = field(init=False)
    sessions: Sessions = field(init=False)
    account: Account = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = accounts_of(self.store)
        self.sessions = Sessions(
            self.store,
            self.accounts,
            idle=IDLE,
            longest=LONGEST,
            access=ACCESS,
            grace=GRACE,
            clock=lambda: self.now,
        )
        self.account = self.accounts.register(NAME, PASSWORD)

    def speaks(self, session: Session) -> bool:
        """Say whether an access token of a session is believed."""
        return self.accounts.check(session.account.claims(session.id)) is not None

    def renews(self, refresh: str) -> bool:
        """Say whether a refresh token renews its session."""
        try:
            self.sessions.refresh(refresh)
        except InvalidRefresh:
            return False
        return True


@pytest.fixture(params=["shelf", "mongodb", "mongodb and redis"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Give an account in a store of its own."""
    if request.param == "shelf":
        shelf = Shelf(tmp_path / "shelf.db")
        yield World(shelf)
        shelf.close()
        return
    server: MongoServer = request.getfixturevalue("mongo_server")
    with opened(server.url) as store:
        if request.param == "mongodb":
            yield World(store)
            return
        cache_server: RedisServer = request.getfixturevalue("redis_server")
        tiered, cache = tiers(cache_server.url, store)
        with closing(redis.Redis.from_url(cache_server.url)) as raw:
            given = World(tiered)
            warm(tiered, cache, raw, given.account.id)
            yield given
        tiered.close()


def test_refresh_token_is_used_once_and_reuse_ends_the_family(world: World) -> None:
    """Whoever has the newest one is thrown out too: it may be the thief."""
    first, other = world.sessions.open(world.account), world.sessions.open(world.account)
    second = world.sessions.refresh(first.refresh)
    third = world.sessions.refresh(second.refresh)
    assert 3 == len({first.refresh, second.refresh, third.refresh})
    assert world.speaks(third)
    world.now += GRACE
    with pytest.raises(Reused):
        world.sessions.refresh(second.refresh)
    assert not world.speaks(third)
    assert not world.renews(third.refresh)
    assert world.speaks(other)
    assert world.renews(other.refresh)


def test_old_refresh_token_ends_the_family_however_often_it_was_renewed_since(
    world: World,
) -> None:
    """Also within the grace, which is for the last one alone."""
    first = last = world.sessions.open(world.account)
    for _ in range(5):
        last = world.sessions.refresh(last.refresh)
    with pytest.raises(Reused):
        world.sessions.refresh(first.refresh)
    assert not world.renews(last.refresh)


def test_two_tabs_that_refresh_at_once_get_the_same(world: World) -> None:
    """Whichever is first; neither is logged out."""
    begun, barrier = world.sessions.open(world.account), Barrier(8)

    def tab(_: int) -> str:
        barrier.wait()
        return world.sessions.refresh(begun.refresh).refresh

    with ThreadPoolExecutor(8) as pool:
        (following,) = set(pool.map(tab, range(8)))
    assert world.renews(following)


def test_forged_refresh_token_ends_nothing(world: World) -> None:
    """An id of a session is in every access token, so to know it must not be enough."""
    begun = world.sessions.open(world.account)
    head, account, session, family, secret = begun.refresh.split(".")
    forged = [
        "",
        "é",
        "x" * 10_000,
        begun.refresh[:-1] + ("A" if begun.refresh[-1] != "A" else "B") + "x" * 200,
        f"{head}.{account}.{session}.{family[::-1]}.{secret}",
        f"{head}.{account}.{session[::-1]}.{family}.{secret}",
        f"{head}.{'0' * 32}.{session}.{family}.{secret}",
        f"{head}.{account}.{session}..",
    ]
    assert [] == [text for text in forged if world.renews(text)]
    assert world.renews(begun.refresh)


def test_session_ends_when_idle_and_at_its_end(world: World) -> None:
    """To renew it moves the first, and never the second."""
    idle = world.sessions.open(world.account)
    world.now += IDLE
    assert not world.renews(idle.refresh)
    busy = world.sessions.open(world.account)
    for _ in range(2):
        world.now += IDLE - 1
        busy = world.sessions.refresh(busy.refresh)
    world.now += LONGEST - 2 * (IDLE - 1)
    assert not world.renews(busy.refresh)


def test_logout_ends_one_session_and_log_out_everywhere_all(world: World) -> None:
    """Access tokens too, at once, and without asking more than the account."""
    one, two, three = (world.sessions.open(world.account) for _ in range(3))
    world.sessions.end(world.account, one.id)
    assert [False, True, True] == [world.speaks(it) for it in (one, two, three)]
    assert not world.renews(one.refresh)
    world.sessions.end_all(world.account)
    assert [False] * 3 == [world.speaks(it) for it in (one, two, three)]
    assert not world.renews(two.refresh)
    account = world.accounts.login(NAME, PASSWORD)
    assert account is not None
    assert world.speaks(world.sessions.open(account))


def test_login_that_began_before_log_out_everywhere_ends_with_it(world: World) -> None:
    """Its session is written last, with the version of before."""
    world.sessions.end_all(world.account)
    late = world.sessions.open(world.account)
    assert not world.speaks(late)
    assert not world.renews(late.refresh)


def test_refresh_token_ends_its_session(world: World) -> None:
    """Also one that was used up: who has it wants the session to end. A forged one ends nothing."""
    one, other = world.sessions.open(world.account), world.sessions.open(world.account)
    two = world.sessions.refresh(one.refresh)
    with pytest.raises(InvalidRefresh):
        world.sessions.end_by(f"{one.refresh.rpartition('.')[0]}x.{'0' * 43}")
    assert world.speaks(two)
    assert world.account == world.sessions.end_by(one.refresh)
    assert [False, True] == [world.speaks(it) for it in (two, other)]
    assert not world.renews(two.refresh)
    with pytest.raises(InvalidRefresh):
        world.sessions.end_by(two.refresh)


def test_access_token_does_not_prolong_its_session(world: World) -> None:
    """It is exchanged as long as the session goes on by its refresh tokens."""
    begun = world.sessions.open(world.account)
    world.now += IDLE - 1
    assert begun.id == world.sessions.lasting(world.account, begun.id).id
    world.now += 1
    with pytest.raises(InvalidRefresh):
        world.sessions.lasting(world.account, begun.id)


def test_new_password_ends_all_other_sessions(world: World) -> None:
    """The one of who changed it begins anew."""
    before = world.sessions.open(world.account)
    begun = []

    def beside(changed: Account) -> WriteBatch:
        session, batch = world.sessions.alone(changed)
        begun.append(session)
        return batch

    world.accounts.prove(world.account, PASSWORD)
    world.accounts.set_password(world.account, "another horse", beside=beside)
    (own,) = begun
    assert not world.speaks(before)
    assert not world.renews(before.refresh)
    assert world.speaks(own)
    assert world.renews(own.refresh)


def test_sessions_of_an_account_are_bounded(world: World) -> None:
    """The one that was not used for longest makes room; so are the notes of those that ended."""
    opened_ = []
    for _ in range(MOST + 2):
        world.now += 0.5
        opened_.append(world.sessions.open(world.account))
    assert [False] * 2 + [True] * MOST == [world.renews(one.refresh) for one in opened_]
    for number in range(MOST_ENDED):
        world.sessions.end(world.account, f"{number}")
    assert world.speaks(opened_[-1])
    world.sessions.end(world.account, "one more")
    assert not world.speaks(opened_[-1])


def test_note_of_an_ended_session_goes_with_its_access_tokens(world: World) -> None:
    """They say themselves that they expired."""
    world.sessions.end(world.account, "old")
    world.now += ACCESS
    world.sessions.end(world.account, "new")
    stored = world.store.get([world.account.id])[world.account.id]
    assert ["new"] == list(stored.body["ended"])


def test_many_logins_of_one_account_at_once_all_count(world: World) -> None:
    """They change one document, and the store lets one win at a time."""
    with ThreadPoolExecutor(4) as pool:
        begun = list(pool.map(lambda _: world.sessions.open(world.account), range(12)))
    assert all(world.renews(one.refresh) for one in begun)


def test_weak_hash_is_replaced_when_its_password_is_given(world: World) -> None:
    """An older release made it: it logs in as ever, and no token ends."""
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    stored = world.store.get([world.account.id])[world.account.id]
    body = {key: value for key, value in stored.body.items() if key != "role"}
    older = stored._replace(body=body | {"password": weak})
    world.store.commit(WriteBatch(updates=(older,)))
    begun = world.sessions.open(world.account)
    assert world.accounts.login(NAME, "wrong horse") is None
    assert weak == world.store.get([world.account.id])[world.account.id].body["password"]
    assert world.account == world.accounts.login(NAME, PASSWORD)
    fresh = world.store.get([world.account.id])[world.account.id].body["password"]
    assert "m=19456,t=2" in fresh
    assert world.account == world.accounts.login(NAME, PASSWORD)
    assert world.speaks(begun)


def test_store_has_no_refresh_token(world: World) -> None:
    """Who reads a backup can renew nothing."""
    begun = world.sessions.refresh(world.sessions.open(world.account).refresh)
    *_, family, secret = begun.refresh.split(".")
    text = repr(world.store.scan("", 100))
    assert family not in text
    assert secret not in text


def test_no_new_name_for_who_was_thrown_out_meanwhile(world: World) -> None:
    """The account was read, then all sessions ended: what follows was asked by nobody known."""
    world.sessions.end_all(world.account)
    with pytest.raises(Refused, match="changed meanwhile"):
        world.accounts.rename(world.account, "other")
    assert world.accounts.login(NAME, PASSWORD) is not None


def test_a_session_that_ended_by_half_is_not_renewed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies while it ends one leaves none that lives on."""
    opened_ = world.sessions.open(world.account)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.accounts, "end_session", die)
    with pytest.raises(KeyboardInterrupt):
        world.sessions.end(world.account, opened_.id)
    assert not world.renews(opened_.refresh)
