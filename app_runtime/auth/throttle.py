"""Wrong logins cost time: each one more than the last, by name and by address.

The counts are documents, so that all workers and pods share them and a restart forgets none. They
are bounded: a name that is nobody's, and an address, share one of `BUCKETS` documents by a keyed
hash, which an attacker cannot aim at. It changes with how long somebody has to wait.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import Any

from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.stores import Conflict, Document, DocumentStore, WriteBatch
from jac_converge.app_runtime.stores.rewriting import rewrite

__all__ = ["Throttle", "TooMany", "counted"]

FREE = 5  # wrong logins by one name before anybody waits
FREE_BY_ADDRESS = 20  # a household or an office has one address
LONGEST = 300.0  # s between two tries by one name: its owner is locked out for no longer
LONGEST_BY_ADDRESS = 900.0  # s
FORGOTTEN = 86400.0  # s after the last wrong one
BUCKETS = 4096
TRIES = 5
KEY = "throttle:key"


class TooMany(Exception):
    """Too many logins went wrong; `wait` is how long the next one has to wait, in s."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"too many logins went wrong; the next one may come in {wait:.0f} s")
        self.wait = wait


class Throttle:
    """Counts wrong logins. Every method may wait for the store; call it from a thread."""

    def __init__(
        self, store: DocumentStore, accounts: Accounts, *, clock: Callable[[], float] = time
    ) -> None:
        """Count in the store of the accounts.

        Args:
            store: where.
            accounts: says whose a name is.
            clock: s since the epoch.
        """
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._key = b""

    def check(self, name: str, address: str | None) -> None:
        """Let a login pass, before anything is hashed.

        Args:
            name: as it was sent.
            address: of the client; None: it does not count (see `counted`).

        Raises:
            TooMany: it has to wait.
        """
        limits = self._limits(name, address)
        found = self._store.get(list(limits))
        now = self._clock()
        waits = [document.body["until"] - now for document in found.values()]
        if (longest := max(waits, default=0.0)) > 0:
            raise TooMany(max(1.0, longest))

    def wrong(self, name: str, address: str | None) -> None:
        """Count a wrong login."""
        for key, (free, longest) in self._limits(name, address).items():
            self._count(key, free, longest)

    def right(self, name: str) -> None:
        """Forget the wrong logins by a name; its address may have others to answer for."""
        (key,) = self._limits(name, None)
        stored = self._store.get([key]).get(key)
        if stored is None or not stored.body["count"]:
            return
        try:
            body = {"count": 0, "last": 0.0, "until": 0.0}
            self._store.commit(WriteBatch(updates=(stored._replace(body=body),)))
        except Conflict:
            return  # a wrong one was counted just now: that stays

    def _count(self, key: str, free: int, longest: float) -> None:
        def counted_(stored: Document | None) -> Document:
            found = stored or Document(id=key, kind="throttle", body={"count": 0, "last": 0.0})
            now, body = self._clock(), found.body
            count = 1 if now - body["last"] > FORGOTTEN else body["count"] + 1
            # The exponent has a bound of its own: a float does not go up to 2 ** 1100.
            wait = min(longest, 2.0 ** min(count - free, 30)) if count >= free else 0.0
            return found._replace(body={"count": count, "last": now, "until": now + wait})

        with suppress(Conflict):  # others count as well; what they write makes the wait no shorter
            rewrite(self._store, key, counted_, tries=TRIES)

    def _limits(self, name: str, address: str | None) -> dict[str, tuple[int, float]]:
        account = self._accounts.id_of(name)
        by_name = account.partition(":")[2] if account else f"nobody-{self._bucket(name)}"
        limits: dict[str, tuple[int, float]] = {f"throttle:{by_name}": (FREE, LONGEST)}
        if address is not None:
            key = f"throttle:address-{self._bucket(address)}"
            limits[key] = (FREE_BY_ADDRESS, LONGEST_BY_ADDRESS)
        return limits

    def _bucket(self, text: str) -> int:
        if not self._key:
            self._key = self._shared_key()
        digest = hmac.digest(self._key, text.casefold().encode("utf-8", "replace"), "sha256")
        return int.from_bytes(digest[:8]) % BUCKETS

    def _shared_key(self) -> bytes:
        """Return the key of the hash; the first of all workers makes it."""
        while (stored := self._store.get([KEY]).get(KEY)) is None:
            body: dict[str, Any] = {"key": secrets.token_hex(16), "until": 0.0}
            try:
                made = Document(id=KEY, kind="throttle", body=body)
                self._store.commit(WriteBatch(creates=(made,)))
            except Conflict:
                continue  # another worker was faster
        return bytes.fromhex(stored.body["key"])


def counted(address: str | None) -> str | None:
    """Return what of a client's address counts: an IPv6 network is one client.

    None: nothing of it. A private address is that of a proxy that was not named in
    FORWARDED_ALLOW_IPS, and behind it is everybody.

    >>> counted("2001:4860:4860::8888")
    '2001:4860:4860::/64'
    >>> counted("::ffff:8.8.8.8")
    '8.8.8.8'
    """
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped is not None:  # noqa: PLR2004
        found = found.ipv4_mapped  # a server that listens on :: gets IPv4 clients like this
    if not found.is_global:
        return None
    if found.version == 4:  # noqa: PLR2004
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
