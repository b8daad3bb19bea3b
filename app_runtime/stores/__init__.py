"""Where documents live: one protocol, one module per database."""

from jac_converge.app_runtime.stores.document import (
    Conflict,
    Document,
    DocumentStore,
    Removal,
    StoreError,
    TooLarge,
    Unavailable,
    UnknownOutcome,
    Unreadable,
    WriteBatch,
)

__all__ = [
    "Conflict",
    "Document",
    "DocumentStore",
    "Removal",
    "StoreError",
    "TooLarge",
    "Unavailable",
    "UnknownOutcome",
    "Unreadable",
    "WriteBatch",
]
