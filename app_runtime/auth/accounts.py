"""Accounts: names, password hashes and roots, as documents.

A name is claimed by a document whose id is the name, so the store itself refuses a second claim,
whichever process asks. A claim counts if its account carries the name: a rename that died before it
was decided may leave one that does not, and whoever wants the name removes it. It changes with what
an account is.
"""

import secrets
import threading
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, Removal, WriteBatch
from jac_converge.app_runtime.stores.rewriting import rewrite

__all__ = ["ADMIN", "USER", "Account", "Accounts", "NameTaken", "Refused", "WrongPassword"]

ADMIN, USER = "admin", "user"
MIN_PASSWORD, MAX_PASSWORD = 8, 1024  # characters; the upper bound is for the hash's running time
MAX_NAME = 254  # characters: the longest e-mail address
HASHES_AT_ONCE = 4  # each takes 19 MiB while it runs
MOST_ENDED = 64  # sessions of one account that ended while their access tokens live
ENDINGS = 10  # tries against others who change the same account
TRIES = 3  # for a name: claims that count for nobody are rare, so a second one is bad luck


class Refused(Exception):
    """An account request that cannot be granted; the text is for the caller."""


class WrongPassword(Refused):
    """The current password is another one."""


class NameTaken(Refused):
    """Somebody else has this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account."""

    id: str
    name: str
    root: UUID
    version: int
    """Counts password changes; a token of an older version is void."""
    role: str = USER
    """What the operator made of it."""

    def claims(self, session: str) -> Claims:
        """What a token for a session of this account says."""
        return Claims(account=self.id, version=self.version, root=self.root.hex, session=session)


class Accounts:
    """The accounts of an app. Every method may wait for the store; call it from a thread."""

    def __init__(self, store: DocumentStore, *, new_root: Callable[[UUID], Document]) -> None:
        """Keep accounts in a store.

        Args:
            store: where.
            new_root: makes the document of a root node with this id.
        """
        self._store = store
        self._new_root = new_root

    def register(self, name: str, password: str, *, role: str = USER) -> Account:
        """Make an account with a root of its own; only an operator gives another role.

        Raises:
            NameTaken: the name belongs to somebody.
            Refused: name or password are not fit.
        """
        name, root = _plain(name), uuid4()
        key = _name_key(name)
        _check_password(password)
        account = _document(f"account:{uuid4().hex}", name, _hash(password), root, role)
        # The name comes last: until it is there, nothing leads to the others.
        batch = WriteBatch(creates=(self._new_root(root), account, _claim(key, account.id)))
        self._take(name, lambda: batch)
        return _account(account)

    def login(self, name: str, password: str) -> Account | None:
        """Return the account if the password is right; the cost is the same if there is none."""
        stored = self._by_name(name)
        known = stored.body["password"] if stored is not None else _nobodys_hash()
        if not _verify(known, password) or stored is None:
            return None
        self._harden(stored, password)
        return _account(stored)

    def _harden(self, stored: Document, password: str) -> None:
        """Hash a password anew that is right, where its hash is weaker than one of today."""
        if not _hasher().check_needs_rehash(stored.body["password"]):
            return
        try:
            changed = _changed(stored, password=_hash(password))
            self._store.commit(WriteBatch(updates=(changed,)))
        except Conflict:
            return  # it changes at this moment; the next login comes back to it

    def check(self, claims: Claims) -> Account | None:
        """Return the account that a token speaks for, unless its password changed since."""
        return self.check_stored(self._store.get([claims.account]).get(claims.account), claims)

    def check_stored(self, stored: Document | None, claims: Claims) -> Account | None:
        """Do the same with a document that was read for it."""
        if stored is None or stored.kind != "account":
            return None
        body = stored.body
        if body["version"] != claims.version or claims.session in body.get("ended", ()):
            return None
        return _account(stored)

    def current(self, stored: Document | None) -> Account | None:
        """Return the account of a document that was read, whatever its version."""
        return _account(stored) if stored is not None and stored.kind == "account" else None

    def end_session(self, id_: str, session: str, *, now: float, until: float) -> None:
        """Void the access tokens of one session.

        Args:
            id_: of the account.
            session: id; at most `MOST_ENDED` are kept, and the next one ends all sessions.
            now: s since the epoch.
            until: s since the epoch, when the last of its access tokens has expired.
        """

        def ended(body: Mapping[str, Any]) -> dict[str, Any]:
            kept = {key: end for key, end in body.get("ended", {}).items() if end > now}
            if len(kept) >= MOST_ENDED:
                return {"ended": {}, "version": body["version"] + 1}
            return {"ended": kept | {session: until}}

        self._change(id_, ended)

    def end_all(self, id_: str) -> None:
        """Void every token of an account."""
        self._change(id_, lambda body: {"ended": {}, "version": body["version"] + 1})

    def _change(self, id_: str, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Change an account whoever else changes it; one that is gone stays gone.

        Raises:
            Conflict: others changed it all the time.
        """

        def changed(stored: Document | None) -> Document | None:
            return None if stored is None else _changed(stored, **change(stored.body))

        rewrite(self._store, id_, changed, tries=ENDINGS)

    def rename(self, account: Account, name: str) -> Account:
        """Give an account another name; its tokens stay valid.

        Raises:
            NameTaken: the name belongs to somebody.
            Refused: the name is not fit, or the account changed meanwhile.
        """
        name = _plain(name)
        _name_key(name)  # refused before anything is read
        return _account(self._take(name, lambda: self._renaming(account, name)).updates[0])

    def _renaming(self, account: Account, name: str) -> WriteBatch:
        old, new = _name_key(account.name), _name_key(name)
        found = self._store.get([account.id, old])
        stored, claim = found.get(account.id), found.get(old)
        if (
            stored is None
            or claim is None
            or not _counts(claim, stored)
            or stored.body["version"] != account.version
        ):
            raise Refused("the account changed meanwhile; log in again")
        changed = (_changed(stored, name=name),)
        if new == old:
            return WriteBatch(updates=changed)
        return WriteBatch(
            creates=(_claim(new, account.id),),
            updates=changed,
            removals=(Removal(id=old, version=claim.version),),
        )

    def _take(self, name: str, batch: Callable[[], WriteBatch]) -> WriteBatch:
        """Commit a batch that claims a name, made anew after a claim that does not count is gone.

        Returns:
            The batch that was committed.

        Raises:
            NameTaken: a claim counts.
            Refused: something else of the batch changed meanwhile.
        """
        key = _name_key(name)
        conflict: Conflict | None = None
        for _ in range(TRIES):
            taking = batch()
            try:
                self._store.commit(taking)
            except Conflict as error:
                if key not in error.ids:
                    raise Refused("the account changed meanwhile; try again") from error
                conflict = error
            else:
                return taking
            if not self._clear(key):
                break
        raise NameTaken(f"the name {name} is taken") from conflict

    def _clear(self, key: str) -> bool:
        """Remove the claim to a name unless it counts; False: it does."""
        claim = self._store.get([key]).get(key)
        if claim is None:
            return True
        account = self._claiming(claim)
        if account is not None and _counts(claim, account):
            return False
        # The account is written as it is, so that its version moves on: a rename that is merely
        # slow would otherwise win later, without the claim. So either it loses, or this does.
        updates = () if account is None else (account,)
        removal = Removal(id=key, version=claim.version)
        try:
            self._store.commit(WriteBatch(updates=updates, removals=(removal,)))
        except Conflict:
            return True  # somebody was faster; the next try shows who
        return True

    def change_password(self, account: Account, current: str, new: str) -> Account:
        """Set a new password, which ends every token handed out before.

        Raises:
            WrongPassword: the current password is another one.
            Refused: the new one is not fit.
        """
        stored = self._store.get([account.id]).get(account.id)
        known = stored.body["password"] if stored is not None else _nobodys_hash()
        if not _verify(known, current) or stored is None:
            raise WrongPassword("the current password is wrong")
        _check_password(new)
        version = stored.body["version"] + 1
        changed = _changed(stored, password=_hash(new), version=version, ended={})
        try:
            self._store.commit(WriteBatch(updates=(changed,)))
        except Conflict as error:
            raise Refused("the account changed meanwhile; try again") from error
        return _account(changed)

    def id_of(self, name: str) -> str | None:
        """Return the id of the account that a name claims, in one round trip, or None."""
        try:
            key = _name_key(name)
        except Refused:
            return None
        claim = self._store.get([key]).get(key)
        return claim.body["account"] if claim is not None else None

    def _by_name(self, name: str) -> Document | None:
        try:
            key = _name_key(name)
        except Refused:
            return None
        claim = self._store.get([key]).get(key)
        if claim is None:
            # As many round trips as for a name that is there.
            self._store.get([key])
            return None
        account = self._claiming(claim)
        return account if account is not None and _counts(claim, account) else None

    def _claiming(self, claim: Document) -> Document | None:
        account: str = claim.body["account"]
        return self._store.get([account]).get(account)


def _document(id_: str, name: str, password: str, root: UUID, role: str) -> Document:
    body = {"name": name, "password": password, "root": root.hex, "version": 1, "role": role}
    return Document(id=id_, kind="account", body=body)


def _claim(key: str, account: str) -> Document:
    return Document(id=key, kind="name", body={"account": account})


def _counts(claim: Document, account: Document) -> bool:
    """Say whether an account is the one of a claim, and carries its name."""
    return account.id == claim.body["account"] and _name_key(account.body["name"]) == claim.id


def _changed(stored: Document, **changes: Any) -> Document:
    body = {**stored.body, **changes}
    return Document(id=stored.id, kind=stored.kind, body=body, version=stored.version)


def _account(stored: Document) -> Account:
    body = stored.body
    return Account(
        id=stored.id,
        name=body["name"],
        root=UUID(body["root"]),
        version=body["version"],
        role=body.get("role", USER),
    )


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip()


def _name_key(name: str) -> str:
    """Return the id of a name's document: names that look or fold alike are one."""
    folded = _plain(name).casefold()
    if not folded or len(folded) > MAX_NAME or any(not char.isprintable() for char in folded):
        raise Refused(f"a name has 1 to {MAX_NAME} printable characters")
    return f"name:{folded}"


def _check_password(password: str) -> None:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Refused(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")


_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher  # noqa: PLC0415 - not before the first login

    # OWASP's first choice for argon2id: a guess costs 19 MiB and two passes.
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def _hash(password: str) -> str:
    with _hashing:
        return str(_hasher().hash(password))


@cache
def _nobodys_hash() -> str:
    return _hash(secrets.token_hex(16))


def _verify(known: str, password: str) -> bool:
    from argon2.exceptions import VerifyMismatchError  # noqa: PLC0415

    with _hashing:
        try:
            return bool(_hasher().verify(known, password[: MAX_PASSWORD + 1]))
        except VerifyMismatchError:
            return False
