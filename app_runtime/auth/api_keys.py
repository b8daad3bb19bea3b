"""API keys: what machines call with, for an account, and no more than its scopes.

A key has 256 bits of chance, of which the store has a hash, so a copy of the store calls nothing.
All keys of an account are one document beside it, which only calls with a key read. What ends all
of them counts up in the account, in the commit of a new password or a log-out everywhere, so none
that is made at the same time outlives it. It changes with what a key may do.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.accounts import Accounts, Refused
from jac_converge.app_runtime.stores import Document, DocumentStore
from jac_converge.app_runtime.stores.rewriting import rewrite

__all__ = ["PREFIX", "ApiKey", "ApiKeys", "Presented", "presented"]

PREFIX = "jack"
MOST = 32  # of one account
MOST_SCOPES = 64  # of one key
LONGEST_NAME = 100  # characters
TRIES = 10  # against others who change the keys of the same account
_KEY = re.compile(rf"{PREFIX}\.([0-9a-f]{{32}})\.([0-9a-f]{{16}})\.([A-Za-z0-9_-]{{43}})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key, as far as it may be shown."""

    id: str
    account: str
    """Id of the account that it calls for."""
    name: str
    """For its owner to tell it from others."""
    scopes: tuple[str, ...] | None
    """Names of the walkers and functions that it may call; None: all."""
    created: int
    """s since the epoch."""
    expires: int
    """s since the epoch."""

    def may_call(self, name: str) -> bool:
        """Say whether a walker or function is within its scopes."""
        return self.scopes is None or name in self.scopes

    @property
    def told(self) -> dict[str, Any]:
        """What its owner is told."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": list(self.scopes) if self.scopes is not None else None,
            "created": self.created,
            "expires": self.expires,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """The parts of a key that somebody sent; whether it is one, `ApiKeys.matching` says."""

    account: str
    """Id of the account whose key it would be."""
    id: str
    secret: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Presented(account={self.account!r}, id={self.id!r})"

    @property
    def document(self) -> str:
        """Id of the document that knows."""
        return _place(self.account)


def presented(text: str) -> Presented | None:
    """Take a key apart; None: it has not the form of one."""
    found = _KEY.fullmatch(text)
    if found is None:
        return None
    return Presented(account=f"account:{found[1]}", id=found[2], secret=found[3])


class ApiKeys:
    """The keys of all accounts. Every method may wait for the store; call it from a thread."""

    def __init__(
        self, store: DocumentStore, accounts: Accounts, *, clock: Callable[[], float] = time
    ) -> None:
        """Keep keys in the store of their accounts.

        Args:
            store: where.
            accounts: in the same store.
            clock: s since the epoch.
        """
        self._store = store
        self._accounts = accounts
        self._clock = clock

    def make(
        self, account: Account, *, name: str, scopes: Sequence[str] | None, lifetime: int
    ) -> tuple[ApiKey, str]:
        """Make a key; returns it, and what to send, which nobody can show again.

        Args:
            account: that it calls for.
            name: for its owner.
            scopes: names of walkers and functions; None: all.
            lifetime: s.

        Raises:
            Refused: the account has too many, or name or scopes are not fit.
        """
        name = name.strip()
        if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
            raise Refused(f"the name of a key has 1 to {LONGEST_NAME} printable characters")
        if scopes is not None and not 0 < len(scopes) <= MOST_SCOPES:
            raise Refused(f"a key has 1 to {MOST_SCOPES} scopes, or null for all")
        now, secret = int(self._clock()), secrets.token_urlsafe(32)
        key = ApiKey(
            id=secrets.token_hex(8),
            account=account.id,
            name=name,
            scopes=tuple(dict.fromkeys(scopes)) if scopes is not None else None,
            created=now,
            expires=now + lifetime,
        )
        stored = key.told | {"hash": _hash(secret), "generation": account.key_generation}
        del stored["id"]

        def added(keys: dict[str, Any]) -> dict[str, Any]:
            alive = {id_: one for id_, one in keys.items() if _is_alive(one, account, now)}
            if len(alive) >= MOST:
                raise Refused(f"an account has at most {MOST} keys; revoke one")
            return alive | {key.id: stored}

        self._change(account.id, added)
        return key, f"{PREFIX}.{account.id.partition(':')[2]}.{key.id}.{secret}"

    def of(self, account: Account) -> list[ApiKey]:
        """List the keys of an account that still call, the oldest first."""
        place, now = _place(account.id), self._clock()
        stored = self._store.get([place]).get(place)
        keys = stored.body["keys"] if stored is not None else {}
        alive = [
            _key(id_, account.id, one) for id_, one in keys.items() if _is_alive(one, account, now)
        ]
        return sorted(alive, key=lambda key: key.created)

    def revoke(self, account: Account, id_: str) -> bool:
        """End a key, from the next call on; False: there is none with this id."""
        found = False

        def without(keys: dict[str, Any]) -> dict[str, Any]:
            nonlocal found
            found = id_ in keys
            return {key: one for key, one in keys.items() if key != id_}

        self._change(account.id, without)
        return found

    def find(
        self, sent: Presented, read: Callable[[Collection[str]], Mapping[str, Document]]
    ) -> tuple[ApiKey, Account] | None:
        """Return a key that somebody sent, and its account; None: it calls for nobody.

        Args:
            sent: what it says of itself.
            read: reads documents.
        """
        found = read([sent.account, sent.document])
        account = self._accounts.current(found.get(sent.account))
        key = self._matching(sent, account, found.get(sent.document))
        return (key, account) if key is not None and account is not None else None

    def _matching(
        self, sent: Presented, account: Account | None, stored: Document | None
    ) -> ApiKey | None:
        """Look for a key in the account and the document that were read for it."""
        one = stored.body["keys"].get(sent.id) if stored is not None else None
        # A hash is made in any case: nobody learns by the time which ids there are.
        same = hmac.compare_digest(one["hash"] if one is not None else "", _hash(sent.secret))
        if one is None or account is None or not same:
            return None
        alive = _is_alive(one, account, self._clock())
        return _key(sent.id, sent.account, one) if alive else None

    def _change(self, account: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change the keys of an account.

        Raises:
            Conflict: others changed them all the time.
        """
        place = _place(account)

        def changed(stored: Document | None) -> Document | None:
            before = {} if stored is None else stored.body["keys"]
            after = change(dict(before))
            if after == before:
                return None
            found = stored or Document(id=place, kind="keys", body={})
            return found._replace(body={"keys": after})

        rewrite(self._store, place, changed, tries=TRIES)


def _place(account: str) -> str:
    return f"keys:{account.partition(':')[2]}"


def _is_alive(one: dict[str, Any], account: Account, now: float) -> bool:
    return bool(one["expires"] > now and one["generation"] == account.key_generation)


def _key(id_: str, account: str, one: dict[str, Any]) -> ApiKey:
    scopes = one["scopes"]
    return ApiKey(
        id=id_,
        account=account,
        name=one["name"],
        scopes=tuple(scopes) if scopes is not None else None,
        created=one["created"],
        expires=one["expires"],
    )


def _hash(secret: str) -> str:
    # 256 bits of chance need nothing slower.
    return hashlib.sha256(secret.encode()).hexdigest()
