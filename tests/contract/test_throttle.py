"""Wrong passwords are counted in a real shelf, and in a MongoDB, whoever counts them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

import pytest

from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.throttle import (
    DECAY,
    DECAY_BY_ADDRESS,
    FREE,
    FREE_BY_ACCOUNT,
    FREE_BY_ADDRESS,
    FREE_REGISTRATIONS,
    LONGEST,
    SLOWEST,
    Attempt,
    Throttle,
    TooMany,
    counted,
)
from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.accounts_of import accounts_of
from tests.contract.mongo_points import opened
from tests.servers.mongo_server import MongoServer

NAME, HOME, ATTACKER = "ann", "8.8.8.8", "9.9.9.9"


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

    def begin(self, name: str = NAME, address: str | None = None) -> Attempt:
        """Begin an attempt, as soon as that is allowed."""
        try:
            return self.throttle.begin(name, address)
        except TooMany as error:
            self.now += error.wait
            return self.throttle.begin(name, address)

    def wait(self, name: str = NAME, address: str | None = None) -> float:
        """Return how long a login has to wait, counting it if it need not."""
        try:
            self.throttle.begin(name, address)
        except TooMany as error:
            return error.wait
        return 0.0

    def guess(self, times: int, name: str = NAME, address: str | None = None) -> None:
        """Log in with a wrong password, as soon as that is allowed."""
        for _ in range(times):
            self.begin(name, address)

    def enter(self, name: str = NAME, address: str | None = None) -> Attempt:
        """Log in with the right password at once."""
        attempt = self.throttle.begin(name, address)
        self.throttle.right(attempt)
        return attempt


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
    """The first few are free."""
    door.guess(FREE - 1)
    waits = []
    for _ in range(12):
        door.guess(1)
        waits.append(door.wait())
    assert [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST, LONGEST, LONGEST] == waits


def test_of_many_guesses_at_once_no_more_are_let_in_than_one_after_the_other(door: Door) -> None:
    """Each is counted before it is looked at, whichever worker it comes to."""
    others = [door, Door(door.store, door.now)]
    barrier = Barrier(8)

    def guess(number: int) -> bool:
        barrier.wait()
        return others[number % 2].wait() == 0

    with ThreadPoolExecutor(8) as pool:
        let_in = sum(sum(pool.map(guess, range(8))) for _ in range(3))
    assert let_in <= FREE


def test_owner_is_not_locked_out_by_who_guesses(door: Door) -> None:
    """From the address they use nothing is noticed; from a new one it is slow, and not refused."""
    door.enter(address=HOME)
    for number in range(FREE_BY_ACCOUNT):
        door.guess(2, address=f"9.9.{number}.1")
    door.guess(FREE, address=ATTACKER)
    assert 0 < door.wait(address=ATTACKER)
    at_home = door.enter(address=HOME)
    assert 0 == at_home.slow
    travelling = door.enter(address="4.4.4.4")
    assert 0 < travelling.slow <= SLOWEST


def test_owner_is_not_locked_out_by_others_of_the_same_address(door: Door) -> None:
    """An office: somebody there guesses at many names."""
    door.enter(address=HOME)
    for number in range(FREE_BY_ADDRESS + 5):
        door.guess(1, f"name-{number}", HOME)
    assert 0 < door.wait("another", HOME)
    assert 0 == door.enter(address=HOME).slow


def test_guess_at_home_is_counted_too(door: Door) -> None:
    """Who is known there is no reason to let everybody try."""
    door.enter(address=HOME)
    door.guess(FREE, address=HOME)
    assert 0 < door.wait(address=HOME)
    assert 0 == door.wait(address="4.4.4.4")


def test_name_of_nobody_is_treated_alike(door: Door) -> None:
    """Or the delay would say which names there are."""
    waits = []
    for name in (NAME, "nobody", ""):
        door.guess(FREE + 3, name)
        waits.append(door.wait(name.upper()))
    assert [8.0] * 3 == waits
    assert 0 == door.wait("somebody else")


def test_slow_down_of_a_name_of_nobody_is_the_same(door: Door) -> None:
    """For the same reason."""
    slow = []
    for name in (NAME, "nobody"):
        for number in range(FREE_BY_ACCOUNT + 4):
            attempt = door.begin(name, f"9.{number}.9.9")
        slow.append(attempt.slow)
    assert slow[0] == slow[1] > 0


def test_right_login_forgets_the_wrong_ones_of_its_account_and_address(door: Door) -> None:
    """Whoever guesses at others from the same address still has to wait."""
    door.guess(FREE - 1, NAME, HOME)
    door.enter(address=HOME)
    door.guess(FREE - 1, NAME, HOME)
    assert 0 == door.wait(address=HOME)
    for number in range(FREE_BY_ADDRESS):
        door.guess(1, f"name-{number}", ATTACKER)
    assert 0 < door.wait(address=ATTACKER)


def test_right_logins_are_no_reason_to_wait(door: Door) -> None:
    """However many there are."""
    for _ in range(3 * FREE_BY_ADDRESS):
        door.enter(address=HOME)
        door.enter()


def test_addresses_do_not_answer_for_each_other(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where they share a document."""
    monkeypatch.setattr("jac_converge.app_runtime.auth.tallying.BUCKETS", 1)
    for number in range(FREE_BY_ADDRESS + 1):
        door.guess(1, f"name-{number}", ATTACKER)
    assert 0 < door.wait("a new name", ATTACKER)
    assert 0 == door.wait("a new name", "5.5.5.5")


def test_wrong_logins_are_forgotten_little_by_little(door: Door) -> None:
    """Of an address, one a minute; of an account from there, one in ten."""
    door.guess(FREE + 2)
    assert 4 == door.wait()
    door.now += 4 + 3 * DECAY
    door.guess(1)
    assert 1 == door.wait()
    for number in range(FREE_BY_ADDRESS + 1):
        door.guess(1, f"name-{number}", ATTACKER)
    door.now += LONGEST + FREE_BY_ADDRESS * DECAY_BY_ADDRESS
    door.guess(FREE_BY_ADDRESS // 2, "somebody", "5.5.5.5")
    assert 0 == door.wait("another", ATTACKER)


def test_registrations_of_an_address_are_counted(door: Door) -> None:
    """So nobody fills the store with accounts, and other addresses do not wait."""
    for _ in range(FREE_REGISTRATIONS):
        door.throttle.registering(ATTACKER)
    with pytest.raises(TooMany):
        door.throttle.registering(ATTACKER)
    door.throttle.registering(HOME)
    for _ in range(FREE_REGISTRATIONS + 1):
        door.throttle.registering(None)


def test_documents_are_bounded_however_much_is_tried(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of nobody and addresses share what there is; so do the addresses of an account."""
    monkeypatch.setattr("jac_converge.app_runtime.auth.tallying.BUCKETS", 4)
    monkeypatch.setattr("jac_converge.app_runtime.auth.tallying.ENTRIES", 8)
    before = len(door.store.scan("", 1000))
    for number in range(40):
        door.guess(1, f"name-{number}", f"8.8.8.{number}")
        door.guess(1, NAME, f"8.8.8.{number}")
    found = door.store.scan("", 1000)
    assert len(found) <= before + 1 + 1 + 4 + 4
    counts = [len(one.body["entries"]) for one in found if "entries" in one.body]
    assert 8 == max(counts)


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
