"""The accounts of an app: made, logged in, named, ended.

It changes with what may become of an account.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from jac_converge.app_runtime.auth import passwords
from jac_converge.app_runtime.auth.account import (
    ADMIN,
    KIND,
    USER,
    Account,
    account_of,
    belongings,
    document_of,
    fitting,
    with_changes,
)
from jac_converge.app_runtime.auth.claiming import CHANGED, NameTaken, claim, holder, take
from jac_converge.app_runtime.auth.names import SSO, Name, Refused, username
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, Removal, WriteBatch
from jac_converge.app_runtime.stores.rewriting import rewrite

__all__ = ["Accounts", "Beside", "NameTaken", "Refused", "WrongPassword", "nothing"]

MOST_ENDED = 64  # sessions of one account that ended while their access tokens live
ENDINGS = 10  # tries against others who change the same account


class WrongPassword(Refused):
    """The current password is another one."""


type Beside = Callable[[Account], WriteBatch]
"""Makes what is committed together with an account; for each try anew, and the last one counts."""


def nothing(_: Account) -> WriteBatch:
    """Commit nothing beside an account."""
    return WriteBatch()


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

    def read(self, ids: Collection[str]) -> dict[str, Document]:
        """Read documents of accounts, or beside them, as they are stored."""
        return self._store.get(ids)

    def register(self, name: str, password: str, *, role: str = USER) -> Account:
        """Make an account with one name (see `create`)."""
        return self.create((username(name),), password=password, role=role)

    def create(
        self,
        names: Sequence[Name],
        *,
        password: str | None = None,
        role: str = USER,
        beside: Beside = nothing,
    ) -> Account:
        """Make an account with a root of its own, in one commit.

        Args:
            names: all of them, or none, are claimed.
            password: None: only an SSO provider logs it in.
            role: only an operator gives another one.
            beside: new documents that belong to it.

        Raises:
            NameTaken: a name belongs to somebody.
            Refused: names or password are not fit.
        """
        names = fitting(names, has_password=password is not None)
        if password is not None:
            passwords.check_fit(password)
        hash_ = passwords.hashed(password) if password is not None else None

        def batch() -> WriteBatch:
            # The id is new with each try: whoever removed our claim voided the one of before.
            id_, root = f"account:{uuid4().hex}", uuid4()
            account = document_of(id_, names, hash_, root, role)
            claims = (claim(name, id_) for name in names)
            more = beside(account_of(account)).creates
            # The account comes last: until it is there, the claims count for nobody.
            return WriteBatch(creates=(self._new_root(root), *more, *claims, account))

        return account_of(take(self._store, names, batch).creates[-1])

    def login(self, name: str, password: str) -> Account | None:
        """Return the account if the password is right; the cost is the same if there is none."""
        stored = holder(self._store, _key(name))
        known = stored.body["password"] if stored is not None else None
        if not passwords.matches(known, password) or stored is None:
            return None
        self._harden(stored, password)
        return account_of(stored)

    def _harden(self, stored: Document, password: str) -> None:
        """Hash a password anew that is right, where its hash is weaker than one of today."""
        if not passwords.is_weak(stored.body["password"]):
            return
        try:
            changed = with_changes(stored, password=passwords.hashed(password))
            self._store.commit(WriteBatch(updates=(changed,)))
        except Conflict:
            return  # it changes at this moment; the next login comes back to it

    def by_name(self, name: Name) -> Account | None:
        """Return the account that has a name."""
        stored = holder(self._store, name.key)
        return account_of(stored) if stored is not None else None

    def check(self, claims: Claims) -> Account | None:
        """Return the account that a token speaks for, unless its password changed since."""
        return self.check_stored(self._store.get([claims.account]).get(claims.account), claims)

    def check_stored(self, stored: Document | None, claims: Claims) -> Account | None:
        """Do the same with a document that was read for it."""
        if stored is None or stored.kind != KIND:
            return None
        body = stored.body
        if body["version"] != claims.version or claims.session in body.get("ended", ()):
            return None
        return account_of(stored)

    def current(self, stored: Document | None) -> Account | None:
        """Return the account of a document that was read, whatever its version."""
        return account_of(stored) if stored is not None and stored.kind == KIND else None

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

    def set_role(self, account: Account, role: str, *, by: Account) -> Account:
        """Give an account another role, for the next call of each of its tokens already.

        Args:
            account: whose, another one than that of the admin.
            role: new.
            by: an admin, who is written as well, and so is one still when this is stored: of two
                who take the role from each other at the same time one keeps it.

        Raises:
            Refused: the account is gone, or the admin is none any more, or others changed one of
                them all the time.
        """
        for _ in range(ENDINGS):
            found = self._store.get([account.id, by.id])
            other, admin = (self.current(found.get(one)) for one in (account.id, by.id))
            if other is None or admin is None:
                break
            if (admin.role, admin.version) != (ADMIN, by.version):
                break
            changed = with_changes(found[account.id], role=role)
            try:
                self._store.commit(WriteBatch(updates=(changed, found[by.id])))
            except Conflict:
                continue
            return account_of(changed)
        raise Refused(CHANGED)

    def end_all(self, id_: str) -> None:
        """Void every token and every API key of an account."""
        self._change(id_, _everything_ended)

    def _change(self, id_: str, change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Change an account whoever else changes it; one that is gone stays gone.

        Raises:
            Conflict: others changed it all the time.
        """

        def changed(stored: Document | None) -> Document | None:
            if stored is None or stored.kind != KIND:
                return None
            return with_changes(stored, **change(stored.body))

        rewrite(self._store, id_, changed, tries=ENDINGS)

    def rename(self, account: Account, name: str) -> Account:
        """Give an account another name instead of the one it is shown by (see `set_names`)."""
        new = username(name)
        kept = [own for own in account.names if own.type == SSO or own.value != account.name]
        return self.set_names(account, [*kept, new])

    def link(self, account: Account, name: Name) -> Account:
        """Give an account one more name, or one that it has with what is known of it now."""
        kept = [own for own in account.names if own.key != name.key]
        return self.set_names(account, [*kept, name])

    def unlink(self, account: Account, name: Name) -> Account:
        """Take a name from an account that has others to log in by (see `set_names`)."""
        if account.has(name) is None:
            raise Refused("the account has no such name")
        return self.set_names(account, [own for own in account.names if own.key != name.key])

    def set_names(
        self, account: Account, names: Sequence[Name], *, beside: Beside = nothing
    ) -> Account:
        """Give an account these names instead of its own, in one commit; tokens stay valid.

        Raises:
            NameTaken: a name belongs to somebody.
            Refused: they are not fit, or the account changed meanwhile.
        """
        names = fitting(names, has_password=account.has_password)
        new = [name for name in names if account.has(name) is None]

        def batch() -> WriteBatch:
            own, more = self._renaming(account, names), beside(account)
            return replace(
                own, creates=(*more.creates, *own.creates), updates=(*own.updates, *more.updates)
            )

        return account_of(take(self._store, new, batch).updates[0])

    def _renaming(self, account: Account, names: tuple[Name, ...]) -> WriteBatch:
        kept = {name.key for name in names}
        old = [name.key for name in account.names if name.key not in kept]
        found = self._store.get([account.id, *old])
        stored, claims = found.get(account.id), [found.get(key) for key in old]
        if stored is None or not _is_still(account, stored):
            raise Refused("the account changed meanwhile; log in again")
        if any(one is None or one.body["account"] != account.id for one in claims):
            raise Refused(CHANGED)
        new = [name for name in names if account.has(name) is None]
        return WriteBatch(
            creates=tuple(claim(name, account.id) for name in new),
            updates=(with_changes(stored, names=[name.stored for name in names]),),
            removals=tuple(
                Removal(id=one.id, version=one.version) for one in claims if one is not None
            ),
        )

    def prove(self, account: Account, password: str) -> None:
        """Check the password of somebody whom a token speaks for.

        Raises:
            WrongPassword: it is another one, or there is none.
        """
        stored = self._store.get([account.id]).get(account.id)
        known = stored.body.get("password") if stored is not None else None
        if not passwords.matches(known, password):
            raise WrongPassword("the current password is wrong")

    def set_password(self, account: Account, new: str, *, beside: Beside = nothing) -> Account:
        """Set a password, which ends every token and key handed out before, in one commit.

        Raises:
            Refused: it is not fit, or the account changed meanwhile.
        """
        passwords.check_fit(new)
        hash_ = passwords.hashed(new)
        for _ in range(ENDINGS):
            stored = self._store.get([account.id]).get(account.id)
            if stored is None or stored.kind != KIND or stored.body["version"] != account.version:
                break
            changed = with_changes(stored, password=hash_, **_everything_ended(stored.body))
            more = beside(account_of(changed))
            batch = WriteBatch(creates=more.creates, updates=(changed, *more.updates))
            try:
                self._store.commit(batch)
            except Conflict:
                continue  # a session began or ended; what was proven is as true as before
            return account_of(changed)
        raise Refused(CHANGED)

    def remove(self, account: Account, *, record: Document) -> None:
        """Remove an account, its names and what `belongings` has of it, in one commit.

        Args:
            account: as it was read for whoever asks.
            record: a new document that says what is left to do.

        Raises:
            Refused: it changed meanwhile.
        """
        names = [name.key for name in account.names]
        for _ in range(ENDINGS):
            found = self._store.get([account.id, *names, *belongings(account.id)])
            stored = found.get(account.id)
            if stored is None or not _is_still(account, stored):
                break
            gone = [
                one
                for one in found.values()
                if one.kind != "name" or one.body["account"] == account.id
            ]
            removals = tuple(Removal(id=one.id, version=one.version) for one in gone)
            try:
                self._store.commit(WriteBatch(creates=(record,), removals=removals))
            except Conflict:
                continue  # a session began or ended
            return
        raise Refused(CHANGED)

    def id_of(self, name: str) -> str | None:
        """Return the id of the account that a name claims, in one round trip, or None."""
        key = _key(name)
        claimed = self._store.get([key]).get(key)
        return claimed.body["account"] if claimed is not None else None


def _everything_ended(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes that void every token and every API key of an account."""
    generation = body.get("key_generation", 0)
    return {"ended": {}, "version": body["version"] + 1, "key_generation": generation + 1}


def _is_still(account: Account, stored: Document) -> bool:
    """Say whether a stored account is the one that was read, in all that names depend on."""
    return stored.kind == KIND and account_of(stored) == account


def _key(name: str) -> str:
    """Return the key of what somebody typed as a name; one that is unfit is nobody's."""
    try:
        return username(name).key
    except Refused:
        return "name:"
