"""One account: what it is, its document, and the names that fit it.

It changes with what an account is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jac_converge.app_runtime.auth.names import EMAIL, SSO, USERNAME, Name, Refused, from_stored
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.stores import Document

__all__ = [
    "ADMIN",
    "KIND",
    "USER",
    "Account",
    "account_of",
    "document_of",
    "fitting",
    "with_changes",
]

KIND = "account"
ADMIN, USER = "admin", "user"
MOST_NAMES = 12
ORDER = {USERNAME: 0, EMAIL: 1, SSO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account."""

    id: str
    names: tuple[Name, ...]
    """In the order of `ORDER`; at most one user name and one e-mail address."""
    root: UUID
    version: int
    """Counts password changes; a token of an older version is void."""
    role: str = USER
    """What the operator made of it."""
    has_password: bool = True
    key_generation: int = 0
    """Counts what ended all API keys; a key of an older count is void."""

    @property
    def name(self) -> str:
        """The user name, or else the e-mail address, or else nothing."""
        return next((name.value for name in self.names if name.type != SSO), "")

    @property
    def profile(self) -> dict[str, Any]:
        """What clients are told, in the words of jaclang's client runtime."""
        return {
            "username": self.name,
            "user_id": self.id.partition(":")[2],
            "root_id": self.root.hex,
            "role": self.role,
        }

    @property
    def told(self) -> dict[str, Any]:
        """Everything about it, for whoever it is."""
        return self.profile | {"identities": [name.told for name in self.names]}

    def claims(self, session: str) -> Claims:
        """What a token for a session of this account says."""
        return Claims(account=self.id, version=self.version, root=self.root.hex, session=session)

    def has(self, name: Name) -> Name | None:
        """Return a name as the account has it, with what it knows of it, or None."""
        return next((own for own in self.names if own.key == name.key), None)


def document_of(
    id_: str, names: tuple[Name, ...], password: str | None, root: UUID, role: str
) -> Document:
    """Make the document of a new account."""
    body = {
        "names": [name.stored for name in names],
        "password": password,
        "root": root.hex,
        "version": 1,
        "role": role,
    }
    return Document(id=id_, kind=KIND, body=body)


def belongings(account: str) -> tuple[str, ...]:
    """Return the ids of the documents that go with an account, beside its names and its graph."""
    short = account.partition(":")[2]
    return tuple(f"{what}:{short}" for what in ("sessions", "profile", "keys", "throttle"))


def with_changes(stored: Document, **changes: Any) -> Document:
    """Change what the document of an account says."""
    return stored._replace(body={**stored.body, **changes})


def account_of(stored: Document) -> Account:
    """Read the document of an account."""
    body = stored.body
    return Account(
        id=stored.id,
        names=from_stored(body),
        root=UUID(body["root"]),
        version=body["version"],
        role=body.get("role", USER),
        has_password=body["password"] is not None,
        key_generation=body.get("key_generation", 0),
    )


def fitting(names: Sequence[Name], *, has_password: bool) -> tuple[Name, ...]:
    """Sort the names of one account.

    Raises:
        Refused: there are two where one is allowed, too many, or none to log in by.
    """
    kinds = [name.type for name in names]
    for kind, shown in ((USERNAME, "user name"), (EMAIL, "e-mail address")):
        if kinds.count(kind) > 1:
            raise Refused(f"an account has one {shown}")
    if len(names) > MOST_NAMES or len({name.key for name in names}) < len(names):
        raise Refused(f"an account has at most {MOST_NAMES} names, each once")
    if SSO not in kinds and not (names and has_password):
        raise Refused("an account keeps one name to log in by")
    return tuple(sorted(names, key=lambda name: (ORDER[name.type], name.value)))
