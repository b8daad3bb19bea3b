"""API keys in a store: expiry, limits, and races."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused
from jac_converge.app_runtime.auth.api_keys import MOST, ApiKey, ApiKeys, presented
from jac_converge.app_runtime.stores import DocumentStore
from tests.contract.accounts_of import accounts_of

LIFETIME = 100  # s


class Clock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def accounts(store: DocumentStore) -> Accounts:
    """Give the accounts of each make of store."""
    return accounts_of(store)


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def keys(store: DocumentStore, accounts: Accounts, clock: Clock) -> ApiKeys:
    """Give the keys beside the accounts."""
    return ApiKeys(store, accounts, clock=clock)


@pytest.fixture
def ann(accounts: Accounts) -> Account:
    """Give somebody."""
    return accounts.register("ann", "correct horse")


def make(keys: ApiKeys, account: Account, name: str = "robot") -> str:
    """Make a key; returns what to send."""
    return keys.make(account, name=name, scopes=None, lifetime=LIFETIME)[1]


def find(keys: ApiKeys, text: str) -> tuple[ApiKey, Account] | None:
    """Look for a key by what somebody sent."""
    sent = presented(text)
    return None if sent is None else keys.find(sent, keys._store.get)


def test_key_is_found_with_its_account(keys: ApiKeys, ann: Account) -> None:
    """Each by its own text, with its own scopes."""
    one, text = keys.make(ann, name="one", scopes=["b", "a", "b"], lifetime=LIFETIME)
    other = make(keys, ann)
    found = find(keys, text)
    assert found is not None
    assert (one, ann.id) == (found[0], found[1].id)
    assert [True, True, False] == [found[0].may_call(name) for name in "abc"]
    all_of_them = find(keys, other)
    assert all_of_them is not None
    assert all_of_them[0].may_call("c")


def test_key_expires(keys: ApiKeys, ann: Account, clock: Clock) -> None:
    """To the second, and is not listed any more."""
    text = make(keys, ann)
    clock.now += LIFETIME - 1
    assert find(keys, text) is not None
    clock.now += 1
    assert find(keys, text) is None
    assert [] == keys.of(ann)


def test_keys_are_bounded(keys: ApiKeys, ann: Account, clock: Clock) -> None:
    """One that has expired makes room, and none that lives does."""
    for number in range(MOST):
        make(keys, ann, f"robot {number}")
    with pytest.raises(Refused, match="at most"):
        make(keys, ann)
    clock.now += LIFETIME
    make(keys, ann)
    assert ["robot"] == [key.name for key in keys.of(ann)]


def test_no_key_is_lost_when_many_are_made_at_once(keys: ApiKeys, ann: Account) -> None:
    """They share a document, and each is there in the end."""
    with ThreadPoolExecutor(6) as pool:
        texts = list(pool.map(lambda number: make(keys, ann, str(number)), range(6)))
    assert 6 == len(keys.of(ann))
    assert all(find(keys, text) is not None for text in texts)


def test_key_that_is_made_beside_a_new_password_dies_with_it(
    keys: ApiKeys, accounts: Accounts, ann: Account
) -> None:
    """Whoever knew the old password, and was slow, has nothing."""
    before = make(keys, ann)
    changed = accounts.set_password(ann, "another horse")
    late = make(keys, ann)
    assert [None, None] == [find(keys, before), find(keys, late)]
    assert find(keys, make(keys, changed)) is not None


def test_key_dies_with_its_account(keys: ApiKeys, accounts: Accounts, ann: Account) -> None:
    """And with a log-out everywhere, but not with one logout too many."""
    text = make(keys, ann)
    for number in range(70):
        accounts.end_session(ann.id, f"session-{number}", now=0, until=10)
    assert find(keys, text) is not None
    accounts.end_all(ann.id)
    assert find(keys, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jack",
        "jack...",
        "jacr.a.b.c.d",
        f"jack.{'0' * 32}.{'0' * 16}.{'é' * 43}",
        "jack." * 900,
    ],
)
def test_text_that_is_no_key_is_not_looked_up(text: str) -> None:
    """It has not the form of one."""
    assert presented(text) is None


def test_key_shows_no_secret(keys: ApiKeys, ann: Account) -> None:
    """Neither in a log nor in a traceback."""
    text = make(keys, ann)
    sent = presented(text)
    assert sent is not None
    assert sent.secret not in repr(sent)
    assert sent.secret not in repr(keys.of(ann))
