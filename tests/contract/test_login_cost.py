"""A login costs the same whether there is such an account or not, or its name would be told."""

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from time import process_time

import pytest

from jac_converge.app_runtime.auth.names import email, sso
from jac_converge.app_runtime.stores import Document
from jac_converge.app_runtime.stores.shelf import Shelf
from tests.contract.accounts_of import accounts_of

PASSWORD, WRONG = "correct horse", "wrong horse"


class CountedShelf(Shelf):
    """A shelf that counts round trips."""

    trips = 0

    def get(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents, and count that."""
        self.trips += 1
        return super().get(ids)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CountedShelf]:
    """Give an empty one."""
    with closing(CountedShelf(tmp_path / "shelf.db")) as made:
        yield made


def test_login_of_nobody_costs_the_same(store: CountedShelf) -> None:
    """In round trips, and in work: also for an account that has no password."""
    accounts = accounts_of(store)
    accounts.register("ann", PASSWORD)
    accounts.create((sso("corp", "1"), email("elsewhere@example.org", verified=True)))
    accounts.login("ann", WRONG)  # makes the hash that stands for nobody's
    accounts.login("nobody", WRONG)
    costs = []
    for name in ("ann", "nobody", "\n", "elsewhere@example.org"):
        trips, began = store.trips, process_time()
        for _ in range(5):
            assert accounts.login(name, WRONG) is None
        costs.append((store.trips - trips, process_time() - began))
    assert 1 == len({trips for trips, _ in costs})
    cheapest, dearest = min(cost for _, cost in costs), max(cost for _, cost in costs)
    assert dearest < 2 * cheapest  # one without a hash would take a tenth
