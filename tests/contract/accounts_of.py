"""The accounts of a store, in tests that need no app."""

from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.stores import Document, DocumentStore

__all__ = ["accounts_of"]


def accounts_of(store: DocumentStore) -> Accounts:
    """Make the accounts of a store; what a root holds does not matter here."""
    return Accounts(
        store,
        new_root=lambda id_: Document(id=id_.hex, kind="root", body={"class": "Root"}),
    )
