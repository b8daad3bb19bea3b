"""There is always an admin, whoever takes the role from whom at the same time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from jac_converge.app_runtime.auth.account import ADMIN, USER, Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused
from jac_converge.app_runtime.auth.names import username
from jac_converge.app_runtime.stores import Document, DocumentStore
from tests.contract.accounts_of import accounts_of

PASSWORD = "correct horse"


@pytest.fixture
def accounts(store: DocumentStore) -> Accounts:
    """Give the accounts of each make of store."""
    return accounts_of(store)


def role_of(accounts: Accounts, name: str) -> str:
    """Say what somebody is now."""
    account = accounts.by_name(username(name))
    assert account is not None
    return account.role


def test_admins_who_depose_each_other_at_once_leave_one(accounts: Accounts) -> None:
    """Whoever is faster; the other one is an admin no more when it is their turn."""
    for number in range(5):
        names = [f"one {number}", f"two {number}"]
        pair = [accounts.register(name, PASSWORD, role=ADMIN) for name in names]
        together = Barrier(2)

        def depose(who: Account, by: Account, together: Barrier = together) -> bool:
            together.wait()
            try:
                accounts.set_role(who, USER, by=by)
            except Refused:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            won = list(pool.map(depose, pair, reversed(pair)))
        assert [False, True] == sorted(won)
        assert [ADMIN, USER] == sorted(role_of(accounts, name) for name in names)


def test_admin_who_was_thrown_out_gives_no_role(accounts: Accounts) -> None:
    """The account was read, then its password changed: what follows was asked by nobody known."""
    admin = accounts.register("boss", PASSWORD, role=ADMIN)
    other = accounts.register("other", PASSWORD)
    accounts.set_password(admin, "another horse")
    with pytest.raises(Refused):
        accounts.set_role(other, ADMIN, by=admin)
    assert USER == role_of(accounts, "other")


def test_who_has_left_gets_no_role(accounts: Accounts) -> None:
    """Nor comes back by one."""
    admin = accounts.register("chief", PASSWORD, role=ADMIN)
    other = accounts.register("gone", PASSWORD)
    accounts.remove(other, record=Document(id="leaving:1", kind="leaving", body={}))
    with pytest.raises(Refused):
        accounts.set_role(other, ADMIN, by=admin)
    assert accounts.by_name(username("gone")) is None
