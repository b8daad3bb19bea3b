"""Claims to names: documents whose id is the name, so the store itself refuses a second one.

A claim counts if its account is there and carries the name. Who died on the way to a name may leave
a claim that does not; whoever wants the name removes it. It changes with how a name is taken.
"""

from collections.abc import Callable, Sequence

from jac_converge.app_runtime.auth.account import KIND
from jac_converge.app_runtime.auth.names import Name, Refused, from_stored
from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, Removal, WriteBatch

__all__ = ["CHANGED", "NameTaken", "claim", "holder", "take"]

TRIES = 3  # claims that count for nobody are rare, so a second one is bad luck
CHANGED = "the account changed meanwhile; try again"


class NameTaken(Refused):
    """Somebody else has this name."""

    def __init__(self, name: Name) -> None:
        """Tell which."""
        super().__init__(f"the name {name.value} is taken")
        self.name = name


def claim(name: Name, account: str) -> Document:
    """Make the claim of an account to a name."""
    return Document(id=name.key, kind="name", body={"account": account})


def holder(store: DocumentStore, key: str) -> Document | None:
    """Return the account that has a name; the same two round trips whether there is one or not."""
    claimed = store.get([key]).get(key)
    if claimed is None:
        store.get([key])
        return None
    account = _claiming(store, claimed)
    return account if account is not None and _counts(claimed, account) else None


def take(
    store: DocumentStore, names: Sequence[Name], batch: Callable[[], WriteBatch]
) -> WriteBatch:
    """Commit a batch that claims names, made anew after claims that do not count are gone.

    Returns:
        The batch that was committed.

    Raises:
        NameTaken: a claim counts.
        Refused: something else of the batch changed all the time.
    """
    contested: list[Name] = []
    conflict: Conflict | None = None
    for _ in range(TRIES):
        taking = batch()
        try:
            store.commit(taking)
        except Conflict as error:
            conflict, contested = error, [name for name in names if name.key in error.ids]
        else:
            return taking
        for name in contested:
            if not _clear(store, name.key):
                raise NameTaken(name) from conflict
    raise (NameTaken(contested[0]) if contested else Refused(CHANGED)) from conflict


def _clear(store: DocumentStore, key: str) -> bool:
    """Remove the claim to a name unless it counts; False: it does."""
    claimed = store.get([key]).get(key)
    if claimed is None:
        return True
    account = _claiming(store, claimed)
    if account is not None and _counts(claimed, account):
        return False
    # Who made the claim may be merely slow, and would win later, without it. So the account is
    # written as it is, for its version to move on, or its id is taken: either he loses or we do.
    void = Document(id=claimed.body["account"], kind="void", body={})
    batch = WriteBatch(
        creates=(void,) if account is None else (),
        updates=(account,) if account is not None and account.kind == KIND else (),
        removals=(Removal(id=key, version=claimed.version),),
    )
    try:
        store.commit(batch)
    except Conflict:
        return True  # somebody was faster; the next try shows who
    return True


def _claiming(store: DocumentStore, claimed: Document) -> Document | None:
    account: str = claimed.body["account"]
    return store.get([account]).get(account)


def _counts(claimed: Document, account: Document) -> bool:
    """Say whether an account is the one of a claim, and carries its name."""
    return account.kind == KIND and any(
        name.key == claimed.id for name in from_stored(account.body)
    )
