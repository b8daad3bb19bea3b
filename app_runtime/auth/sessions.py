"""Sessions: who stays logged in, and the refresh tokens that say so.

All sessions of an account are one document beside it, which no call of the app reads: what a call
has to know, the account says (`Accounts.check_stored`). A refresh token is used once. The next one
follows from it and from a number that only the store knows, so whoever repeats a refresh within
the grace gets the same answer again; after that, a token that was used before means that two have
it, and the session ends for both. It changes with the life of a session.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Any

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, WriteBatch
from jac_converge.app_runtime.stores.rewriting import rewrite

__all__ = ["PREFIX", "InvalidRefresh", "Reused", "Session", "Sessions"]

MOST = 32  # of one account; the one that was not used for longest makes room
FRESH = 600.0  # s after a login
LONGEST = 200  # characters of a refresh token; ours have 134
TRIES = 10  # against others who change the sessions of the same account
PREFIX = "jacr"


class InvalidRefresh(Exception):
    """A refresh token that renews nothing: unknown, expired, or of a session that has ended."""


class Reused(InvalidRefresh):
    """A refresh token that was used before: somebody else may have it, so its session ended."""

    def __init__(self, account: Account) -> None:
        super().__init__("a refresh token was used twice")
        self.account = account


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session as it is handed out."""

    account: Account
    id: str
    refresh: str
    """Renews it, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    """The parts of a refresh token."""

    account: str
    session: str
    family: str
    secret: str

    def __str__(self) -> str:
        return f"{PREFIX}.{self.account}.{self.session}.{self.family}.{self.secret}"


class Sessions:
    """The sessions of all accounts. Every method may wait for the store; call it from a thread."""

    def __init__(
        self,
        store: DocumentStore,
        accounts: Accounts,
        *,
        idle: int,
        longest: int,
        access: int,
        grace: float,
        clock: Callable[[], float] = time,
    ) -> None:
        """Keep sessions in the store of their accounts.

        Args:
            store: where.
            accounts: in the same store.
            idle: s without a refresh after which a session ends.
            longest: s after which it ends in any case.
            access: s that an access token may live.
            grace: s in which a used refresh token gives its successor again, for two tabs and for
                a lost answer; longer than a client waits for one.
            clock: s since the epoch.
        """
        self._store = store
        self._accounts = accounts
        self._idle = idle
        self._longest = longest
        self._access = access
        self._grace = grace
        self._clock = clock

    def open(self, account: Account) -> Session:
        """Begin a session; the one that was not used for longest makes room."""
        now, token = self._clock(), _new_token(account)

        def added(found: dict[str, Any]) -> dict[str, Any]:
            kept = _alive(found, now)
            oldest = sorted(kept, key=lambda id_: float(kept[id_]["idle"]))
            for id_ in oldest[: max(0, len(kept) - MOST + 1)]:
                del kept[id_]
            return kept | self._begun(account, token)

        self._change(account.id, added)
        return Session(account=account, id=token.session, refresh=str(token))

    def first(self, account: Account) -> tuple[Session, WriteBatch]:
        """Begin the session of an account that is just being made, and what to commit with it."""
        token = _new_token(account)
        body = {"open": self._begun(account, token)}
        made = Document(id=_key(account.id), kind="sessions", body=body)
        session = Session(account=account, id=token.session, refresh=str(token))
        return session, WriteBatch(creates=(made,))

    def alone(self, account: Account) -> tuple[Session, WriteBatch]:
        """Begin a session and end all others, by what is to be committed with the account."""
        key = _key(account.id)
        stored = self._store.get([key]).get(key)
        session, batch = self.first(account)
        if stored is None:
            return session, batch
        return session, WriteBatch(updates=(stored._replace(body=batch.creates[0].body),))

    def _begun(self, account: Account, token: _Token) -> dict[str, Any]:
        now = self._clock()
        begun = {
            "version": account.version,
            "family": _hash(token.family),
            "secret": _hash(token.secret),
            "idle": now + self._idle,
            "end": now + self._longest,
        }
        return {token.session: begun}

    def refresh(self, text: str) -> Session:
        """Renew a session by its refresh token.

        Raises:
            Reused: it was used before, and the session has ended for that.
            InvalidRefresh: it renews nothing.
        """
        token, now = _parsed(text), self._clock()
        for _ in range(TRIES):
            account, document, session = self._found(token, now)
            given = Session(account=account, id=token.session, refresh="")
            if not _same(session["secret"], token.secret):
                return self._again(given, token, session, now)
            salt = secrets.token_hex(16)
            following = _following(token, salt)
            renewed = session | {
                "secret": _hash(following.secret),
                "before": session["secret"],
                "salt": salt,
                "rotated": now,
                "idle": now + self._idle,
            }
            body = {"open": document.body["open"] | {token.session: renewed}}
            try:
                self._store.commit(WriteBatch(updates=(document._replace(body=body),)))
            except Conflict:
                continue  # another tab was faster, most likely with the same token
            return Session(account=account, id=token.session, refresh=str(following))
        raise Conflict([_key(f"account:{token.account}")])

    def end_by(self, text: str) -> Account:
        """End a session by its refresh token, or by one of before: its owner wants it to end.

        Raises:
            InvalidRefresh: it is of no session.
        """
        token = _parsed(text)
        account, _, _ = self._found(token, self._clock())
        self.end(account, token.session)
        return account

    def lasting(self, account: Account, session: str) -> Session:
        """Return a session that goes on, for an access token of it; it is not prolonged.

        Raises:
            InvalidRefresh: it has ended.
        """
        found = self._one(account, session)
        if found is None or not _is_alive(found, self._clock()):
            raise InvalidRefresh("the session has ended")
        return Session(account=account, id=session, refresh="")

    def is_fresh(self, account: Account, session: str) -> bool:
        """Say whether somebody has just logged in, so that they need not prove once more who."""
        found = self._one(account, session)
        return found is not None and self._clock() - (found["end"] - self._longest) < FRESH

    def _one(self, account: Account, session: str) -> dict[str, Any] | None:
        document = self._store.get([_key(account.id)]).get(_key(account.id))
        found = document.body["open"].get(session) if document is not None else None
        return found if found is not None and found["version"] == account.version else None

    def _found(self, token: _Token, now: float) -> tuple[Account, Document, dict[str, Any]]:
        """Read the session of a refresh token, the last one or an older one.

        Raises:
            InvalidRefresh: there is none.
        """
        id_ = f"account:{token.account}"
        found = self._store.get([id_, _key(id_)])
        document = found.get(_key(id_))
        session = document.body["open"].get(token.session) if document is not None else None
        account = self._accounts.current(found.get(id_))
        if (
            document is None
            or account is None
            or session is None
            or session["version"] != account.version
            or not _is_alive(session, now)
            or not _same(session["family"], token.family)
        ):
            raise InvalidRefresh("the refresh token renews nothing")
        return account, document, session

    def end(self, account: Account, session: str) -> None:
        """End one session, and the access tokens that it was given, now.

        Args:
            account: whose.
            session: its id; one that has ended already is no error.
        """
        now = self._clock()
        # In this order: a process that dies in between leaves an access token that ends soon, and
        # not a session that can be renewed.
        self._change(account.id, lambda found: {k: v for k, v in found.items() if k != session})
        self._accounts.end_session(account.id, session, now=now, until=now + self._access)

    def end_all(self, account: Account) -> None:
        """End every session and every token of an account, now."""
        self._accounts.end_all(account.id)
        self._change(account.id, lambda _: {})

    def _again(self, given: Session, token: _Token, session: dict[str, Any], now: float) -> Session:
        """Answer a token that is genuine, and not the last one."""
        recent = now - session.get("rotated", 0.0) < self._grace
        if recent and _same(session.get("before", ""), token.secret):
            following = _following(token, session["salt"])
            return Session(account=given.account, id=given.id, refresh=str(following))
        self.end(given.account, given.id)
        raise Reused(given.account)

    def _change(self, account: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change the sessions of an account.

        Raises:
            Conflict: others changed them all the time.
        """
        key = _key(account)

        def changed(stored: Document | None) -> Document | None:
            before = {} if stored is None else stored.body["open"]
            after = change(dict(before))
            if after == before:
                return None
            found = stored or Document(id=key, kind="sessions", body={})
            return found._replace(body={"open": after})

        rewrite(self._store, key, changed, tries=TRIES)


def _key(account: str) -> str:
    return f"sessions:{account.partition(':')[2]}"


def _alive(found: dict[str, Any], now: float) -> dict[str, Any]:
    return {id_: one for id_, one in found.items() if _is_alive(one, now)}


def _is_alive(session: dict[str, Any], now: float) -> bool:
    return bool(now < min(session["idle"], session["end"]))


def _new_token(account: Account) -> _Token:
    return _Token(
        account=account.id.partition(":")[2],
        session=secrets.token_hex(8),
        family=secrets.token_urlsafe(16),
        secret=secrets.token_urlsafe(32),
    )


def _parsed(text: str) -> _Token:
    parts = text.split(".") if len(text) <= LONGEST and text.isascii() else []
    if len(parts) != 5 or parts[0] != PREFIX:  # noqa: PLR2004 - the fields of `_Token`, and one
        raise InvalidRefresh("this is no refresh token")
    return _Token(account=parts[1], session=parts[2], family=parts[3], secret=parts[4])


def _following(token: _Token, salt: str) -> _Token:
    """Make the successor, which needs both: what the client has, and what the store has."""
    digest = hmac.digest(token.secret.encode(), salt.encode(), "sha256")
    secret = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return _Token(account=token.account, session=token.session, family=token.family, secret=secret)


def _hash(secret: str) -> str:
    # They are 128 and 256 bits of chance: nothing slower is needed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _same(known: str, secret: str) -> bool:
    return hmac.compare_digest(known, _hash(secret))
