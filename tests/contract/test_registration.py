"""An account that is made or renamed under fire is as before or as after, and no name is lost."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import pytest

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, NameTaken, Refused
from jac_converge.app_runtime.auth.names import email, username
from jac_converge.app_runtime.stores import Document, DocumentStore, WriteBatch
from tests.contract.accounts_of import accounts_of
from tests.contract.mongo_points import SHORT, opened, proxied
from tests.servers.committer import committer
from tests.servers.mongo_proxy import cut
from tests.servers.mongo_server import MongoServer

OLD, NAME, PASSWORD = "anna", "ann", "correct horse"


def register(found: Accounts) -> Account:
    """Make an account of the name."""
    return found.register(NAME, PASSWORD)


def rename(found: Accounts) -> Account:
    """Give the name to the account that has the old one."""
    account = found.login(OLD, PASSWORD)
    assert account is not None
    return found.rename(account, NAME)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a name, how many writes it takes, and which one of them makes it happen."""

    go: Callable[[Accounts], Account]
    writes: int
    point: int


# What nothing leads to yet, and the name.
REGISTRATION = Way(register, 2, 2)
# The record with the name, the locks, the decision; what is removed, what changes, the record.
RENAME = Way(rename, 6, 3)
WAYS = {"registration": REGISTRATION, "rename": RENAME}


def batch_of(way: Way, store: DocumentStore) -> WriteBatch:
    """Return what it commits."""
    batches = []

    class Asked:
        """A store that takes note."""

        def commit(self, batch: WriteBatch) -> None:
            batches.append(batch)

        def get(self, ids: Collection[str]) -> dict[str, Document]:
            return store.get(ids)

    way.go(accounts_of(Asked()))  # type: ignore[arg-type] # all that is asked of it
    (batch,) = batches
    return batch


def prepared(way: Way, server: MongoServer) -> WriteBatch:
    """Make the account of the old name, and return what the way commits."""
    with opened(server.url) as store:
        accounts_of(store).register(OLD, PASSWORD)
        return batch_of(way, store)


@pytest.mark.parametrize("next_way", [pytest.param(WAYS[name], id=f"then-{name}") for name in WAYS])
@pytest.mark.parametrize(
    ("way", "side", "write"),
    [
        pytest.param(way, side, write, id=f"{name}-{side}-{write}")
        for name, way in WAYS.items()
        for write in range(1, way.point + 1)
        for side in ("before", "after")
    ],
)
def test_killed_on_the_way_to_a_name_leaves_it_free_or_given(
    mongo_server: MongoServer, way: Way, side: str, write: int, next_way: Way
) -> None:
    """Killed with -9 just before and just after each write; somebody else may come next."""
    batch = prepared(way, mongo_server)
    with proxied(mongo_server) as proxy, committer(proxy.url, batch) as child:

        def kill() -> None:
            child.kill()
            child.wait()
            cut()

        proxy.reset()
        (proxy.before if side == "before" else proxy.after)(write, kill)
        print(file=child.stdin, flush=True)
        assert -9 == child.wait(timeout=30)
    with opened(mongo_server.url, SHORT) as store:
        found = accounts_of(store)
        if (side, write) == ("after", way.point):
            assert found.login(NAME, PASSWORD) is not None
            with pytest.raises(NameTaken):
                found.register(NAME, PASSWORD)
            assert (way is RENAME) == (found.login(OLD, PASSWORD) is None)
        else:
            assert found.login(NAME, PASSWORD) is None
            assert found.login(OLD, PASSWORD) is not None
            made = next_way.go(found)
            assert made == found.login(NAME, PASSWORD)
            assert (next_way is RENAME) == (found.login(OLD, PASSWORD) is None)


@pytest.mark.parametrize("write", [pytest.param(2, id="locks"), pytest.param(3, id="decides")])
def test_name_is_not_given_twice_when_a_slow_rename_is_overtaken(
    mongo_server: MongoServer, write: int
) -> None:
    """Its claim is there and counts for nobody yet: whoever removes it stops the rename."""
    with opened(mongo_server.url, SHORT) as quick, proxied(mongo_server) as proxy:
        owner = accounts_of(quick).register(OLD, PASSWORD)
        other: list[Account] = []
        with opened(proxy.url) as slow:
            proxy.reset()
            proxy.before(write, lambda: other.append(register(accounts_of(quick))))
            with pytest.raises(Refused):
                accounts_of(slow).rename(owner, NAME)
        assert other == [accounts_of(quick).login(NAME, PASSWORD)]
        assert owner == accounts_of(quick).login(OLD, PASSWORD)


def test_name_is_not_given_twice_when_a_slow_registration_is_overtaken(
    mongo_server: MongoServer,
) -> None:
    """Its claims are there and its account is not: it begins anew, and finds the name taken."""
    with opened(mongo_server.url, SHORT) as quick, proxied(mongo_server) as proxy:
        other: list[Account] = []
        with opened(proxy.url) as slow:
            proxy.reset()
            proxy.before(2, lambda: other.append(register(accounts_of(quick))))
            names = (username(NAME), email("ann@example.org"))
            with pytest.raises(NameTaken):
                accounts_of(slow).create(names, password=PASSWORD)
        found = accounts_of(quick)
        assert other == [found.login(NAME, PASSWORD)]
        # The address was free again with that.
        assert found.register("ann@example.org", PASSWORD) != other[0]


def test_rename_by_an_old_name_takes_nobody_elses(mongo_server: MongoServer) -> None:
    """The account was renamed meanwhile, and its old name is somebody else's."""
    with opened(mongo_server.url) as store:
        found = accounts_of(store)
        before = found.register(OLD, PASSWORD)
        after = found.rename(before, "annette")
        other = found.register(OLD, PASSWORD)
        with pytest.raises(Refused, match="changed meanwhile"):
            found.rename(before, NAME)
        assert [after, other] == [found.login(name, PASSWORD) for name in ("annette", OLD)]


@pytest.mark.parametrize("way", [pytest.param(way, id=name) for name, way in WAYS.items()])
def test_ways_take_the_writes_that_are_broken_above(mongo_server: MongoServer, way: Way) -> None:
    """And a name that is taken leaves nothing of the second one."""
    batch = prepared(way, mongo_server)
    with proxied(mongo_server) as proxy, opened(proxy.url) as store:
        proxy.reset()
        store.commit(batch)
        assert way.writes == proxy.writes
        before = store.scan("", 100)
        with pytest.raises(NameTaken):
            accounts_of(store).register(NAME, PASSWORD)
        assert before == store.scan("", 100)
