"""Who listens is looked at now and then, and a store that is away sends nobody away."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from fastapi.requests import HTTPConnection

from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.api_keys import ApiKeys
from jac_converge.app_runtime.auth.keys import keyring
from jac_converge.app_runtime.auth.tokens import Claims, Tokens
from jac_converge.app_runtime.bridge.listening import LISTEN
from jac_converge.app_runtime.calls import Calls
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.problems import Problem
from jac_converge.app_runtime.stores import Document, Unavailable
from jac_converge.app_runtime.stores.shelf import Shelf
from jac_converge.app_runtime.vigil import Listener, Vigil
from tests.contract.accounts_of import accounts_of

CONNECTION = HTTPConnection({"type": "http", "headers": [], "client": None})


class ShelfThatIsAway(Shelf):
    """A shelf that does not answer while it is away, and counts who asks."""

    away = False
    trips = 0

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents, or do not."""
        self.trips += 1
        if self.away:
            raise Unavailable("it is away")
        return super().get(ids)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShelfThatIsAway]:
    """Give an empty one, and looks that come quickly."""
    monkeypatch.setattr("jac_converge.app_runtime.vigil.EVERY", 0.02)
    with closing(ShelfThatIsAway(tmp_path / "shelf.db")) as made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - of threads, which set no event
            await asyncio.sleep(0.01)


def identity_of(store: Shelf, accounts: Accounts) -> Identity:
    """Put together who says who somebody is."""
    keys = keyring(algorithm="HS256", secrets_=("s" * 64,))
    tokens = Tokens(keys, issuer="i", audience="a", lifetime=60, leeway=5)
    calls = Calls(store, max_attempts=1, timeout=5)
    return Identity(accounts, ApiKeys(store, accounts), tokens, calls)


def test_listeners_share_a_round_trip_and_outlive_an_outage(store: ShelfThatIsAway) -> None:
    """But not the end of their session, nor that of their token, which needs no store."""
    accounts = accounts_of(store)
    people = [accounts.register(f"ann {number}", "correct horse") for number in range(20)]
    ends: dict[str, Problem] = {}

    def listener(name: str, caller: Callable[[], Claims | None]) -> Listener:
        return Listener(
            connection=CONNECTION,
            caller=caller,
            spec=LISTEN,
            end=lambda problem: ends.update({name: problem}),
        )

    def expired() -> Claims:
        if store.away:
            raise Problem(401, "the token is not valid")
        return people[0].claims("expired")

    async def listen() -> None:
        vigil = Vigil(identity_of(store, accounts))
        with ExitStack() as stack:
            for number, one in enumerate(people):
                claims = one.claims("session")
                listening = listener(str(number), lambda claims=claims: claims)  # type: ignore[misc]
                stack.enter_context(vigil.over(listening))
            stack.enter_context(vigil.over(listener("nobody", lambda: None)))
            stack.enter_context(vigil.over(listener("expired", expired)))
            before = store.trips
            await until(lambda: store.trips > before)
            assert store.trips - before < len(people)
            store.away = True
            before = store.trips
            await until(lambda: store.trips > before + 3)
            assert ["expired"] == list(ends)
            store.away = False
            accounts.end_all(people[3].id)
            await until(lambda: len(ends) > 1)
            before = store.trips
            await until(lambda: store.trips > before + 3)
        assert {"expired": 401, "3": 401} == {name: one.status for name, one in ends.items()}

    asyncio.run(listen())
