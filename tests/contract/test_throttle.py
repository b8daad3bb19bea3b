"""Wrong logins are counted in a real shelf, and in a MongoDB, whoever counts them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.throttle import (
    FORGOTTEN,
    FREE,
    FREE_BY_ADDRESS,
    LONGEST,
    Throttle,
    TooMany,
    counted,
)
from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.accounts_of import accounts_of
from tests.contract.mongo_points import opened
from tests.servers.mongo_server import MongoServer

NAME, ADDRESS = "ann", "8.8.8.8"


@dataclass(slots=True)
class Door:
    """The throttle of one worker, and a clock that a test sets."""

    store: DocumentStore
    now: float = 1_000_000.0
    throttle: Throttle = field(init=False)
    accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = accounts_of(self.store)
        self.throttle = Throttle(self.store, self.accounts, clock=lambda: self.now)

    def wait(self, name: str = NAME, address: str | None = None) -> float:
        """Return how long a login has to wait."""
        try:
            self.throttle.check(name, address)
        except TooMany as error:
            return error.wait
        return 0.0

    def guess(self, times: int, name: str = NAME, address: str | None = None) -> None:
        """Log in with a wrong password."""
        for _ in range(times):
            self.throttle.wrong(name, address)


@pytest.fixture(params=["shelf", "mongodb"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    """Give a store of its own with one account."""
    if request.param == "shelf":
        shelf = Shelf(tmp_path / "shelf.db")
        made = Door(shelf)
        made.accounts.register(NAME, "correct horse")
        yield made
        shelf.close()
        return
    server: MongoServer = request.getfixturevalue("mongo_server")
    with opened(server.url) as store:
        made = Door(store)
        made.accounts.register(NAME, "correct horse")
        yield made


def test_delay_grows_to_its_bound(door: Door) -> None:
    """The first few are free, and the owner is never locked out for longer than the bound."""
    door.guess(FREE - 1)
    assert 0 == door.wait()
    waits = []
    for _ in range(12):
        door.guess(1)
        waits.append(door.wait())
    assert [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST, LONGEST, LONGEST] == waits
    door.now += LONGEST
    assert 0 == door.wait()
    door.guess(1200)
    assert LONGEST == door.wait()


def test_name_of_nobody_is_treated_alike(door: Door) -> None:
    """Or the delay would say which names there are."""
    for name in (NAME, "nobody", ""):
        door.guess(FREE + 3, name)
    assert [8.0] * 3 == [door.wait(name) for name in (NAME.upper(), "NoBody", "")]
    assert 0 == door.wait("somebody else")


def test_right_login_forgets_the_wrong_ones_of_its_name_alone(door: Door) -> None:
    """Whoever guesses at others from the same address still has to wait."""
    door.guess(FREE_BY_ADDRESS, NAME, ADDRESS)
    door.throttle.right(NAME)
    assert 0 == door.wait(NAME)
    assert 0 < door.wait(NAME, ADDRESS)


def test_many_names_from_one_address_wait_too(door: Door) -> None:
    """One guess at each of many names; other addresses do not wait."""
    for number in range(FREE_BY_ADDRESS):
        door.guess(1, f"name-{number}", ADDRESS)
    assert 0 < door.wait("a new name", ADDRESS)
    assert 0 == door.wait("a new name", "9.9.9.9")


def test_wrong_logins_are_forgotten_after_a_day(door: Door) -> None:
    """The next one is the first again."""
    door.guess(FREE + 5)
    door.now += FORGOTTEN + 1
    door.guess(1)
    assert 0 == door.wait()


def test_workers_count_together(door: Door) -> None:
    """Each has its own throttle; of what they count at the same time, most is counted."""
    other = Door(door.store, door.now)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda worker: worker.guess(5), [door, other] * 2))
    assert 0 < door.wait()
    assert door.wait() == other.wait()


def test_documents_are_bounded_however_many_names_are_tried(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of nobody and addresses share what there is."""
    monkeypatch.setattr("jac_converge.app_runtime.auth.throttle.BUCKETS", 4)
    before = len(door.store.scan("", 1000))
    for number in range(40):
        door.guess(1, f"name-{number}", f"8.8.8.{number}")
    assert len(door.store.scan("", 1000)) <= before + 1 + 4 + 4


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("2001:4860:4860::8888", "2001:4860:4860::/64"),
        ("127.0.0.1", None),
        ("10.1.2.3", None),
        ("testclient", None),
        (None, None),
    ],
)
def test_address_of_a_proxy_does_not_count(address: str | None, expected: str | None) -> None:
    """Behind it is everybody."""
    assert expected == counted(address)
