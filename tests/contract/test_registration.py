"""A registration that is killed at any of its writes leaves no half account, and no name taken."""

from collections.abc import Collection

import pytest

from jac_converge.app_runtime.auth.accounts import Accounts, NameTaken
from jac_converge.app_runtime.stores import Document, WriteBatch
from tests.contract.mongo_points import SHORT, opened, proxied
from tests.servers.committer import committer
from tests.servers.mongo_proxy import cut
from tests.servers.mongo_server import MongoServer

NAME, PASSWORD = "ann", "correct horse"
WRITES = 2  # what nothing leads to yet, and the name


def accounts(store: object) -> Accounts:
    """Make the accounts of a store; what a root holds does not matter here."""
    return Accounts(
        store,  # type: ignore[arg-type]
        new_root=lambda id_: Document(id=id_.hex, kind="root", body={"class": "Root"}),
    )


def registration() -> WriteBatch:
    """Return what a registration commits."""
    batches = []

    class Asked:
        """A store that takes note."""

        def commit(self, batch: WriteBatch) -> None:
            batches.append(batch)

        def get(self, ids: Collection[str]) -> dict[str, Document]:
            del ids
            return {}

    accounts(Asked()).register(NAME, PASSWORD)
    (batch,) = batches
    return batch


@pytest.mark.parametrize("write", range(1, WRITES + 1))
@pytest.mark.parametrize("side", ["before", "after"])
def test_killed_registration_is_whole_or_can_be_made_again(
    mongo_server: MongoServer, side: str, write: int
) -> None:
    """Killed with -9 just before and just after each write."""
    with proxied(mongo_server) as proxy, committer(proxy.url, registration()) as child:

        def kill() -> None:
            child.kill()
            child.wait()
            cut()

        proxy.reset()
        (proxy.before if side == "before" else proxy.after)(write, kill)
        print(file=child.stdin, flush=True)
        assert -9 == child.wait(timeout=30)
    with opened(mongo_server.url, SHORT) as store:
        found = accounts(store)
        if (side, write) == ("after", WRITES):
            assert found.login(NAME, PASSWORD) is not None
            with pytest.raises(NameTaken):
                found.register(NAME, PASSWORD)
        else:
            assert found.login(NAME, PASSWORD) is None
            made = found.register(NAME, PASSWORD)
            assert made == found.login(NAME, PASSWORD)


def test_registration_takes_the_writes_that_are_broken_above(mongo_server: MongoServer) -> None:
    """And a name that is taken leaves nothing of the second one."""
    with proxied(mongo_server) as proxy, opened(proxy.url) as store:
        proxy.reset()
        store.commit(registration())
        assert WRITES == proxy.writes
        before = store.scan("", 100)
        with pytest.raises(NameTaken):
            accounts(store).register(NAME, PASSWORD)
        assert before == store.scan("", 100)
