"""Wrong passwords cost time: each one more than the last, by account and address, and by address.

Somebody who guesses must not lock out the owner. So what refuses is counted by account *and*
address; of an account from everywhere it only slows; and an address that the owner has logged in
from does not wait for what others do. It changes with how long somebody has to wait.
"""

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import time

from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.tallying import Limit, Tallies, TooMany
from jac_converge.app_runtime.stores import DocumentStore

__all__ = ["Attempt", "Throttle", "TooMany", "counted"]

logger = logging.getLogger(__name__)

FREE = 5  # wrong passwords for one account from one address before anybody waits
LONGEST, DECAY = 300.0, 600.0  # s
FREE_BY_ADDRESS = 20  # a household or an office has one address
LONGEST_BY_ADDRESS, DECAY_BY_ADDRESS = 900.0, 60.0  # s
FREE_BY_ACCOUNT = 30  # from everywhere
SLOWEST = 5.0  # s that a guess is held up, where the account is guessed at from everywhere
SLOW_AT_FIRST = 0.1  # s
FREE_REGISTRATIONS = 20  # by one address; new names of one account
FREE_MAILS, DECAY_OF_MAILS = 3, 1200.0  # to one address; s
FREE_MAILS_OF_ONE = 20  # of one account or client, to whomever
LONGEST_TO_REGISTER, DECAY_TO_REGISTER = 3600.0, 300.0  # s


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One use of a password, counted as wrong until it was right."""

    account: str | None
    """Id of the account that it is for; None: there is none of this name."""
    slow: float
    """s to wait before the password is looked at."""
    pair: Limit
    everywhere: Limit
    address: Limit | None


class Throttle:
    """Counts wrong passwords. Every method may wait for the store; call it from a thread."""

    def __init__(
        self, store: DocumentStore, accounts: Accounts, *, clock: Callable[[], float] = time
    ) -> None:
        """Count in the store of the accounts.

        Args:
            store: where.
            accounts: says whose a name is.
            clock: s since the epoch.
        """
        self._tallies = Tallies(store, clock)
        self._accounts = accounts
        self._warned = False

    def begin(self, name: str, address: str | None) -> Attempt:
        """Let a login pass, before anything is hashed, and count it.

        Args:
            name: as it was sent.
            address: of the client; None: not known (see `counted`).

        Raises:
            TooMany: it has to wait.
        """
        return self._begin(self._accounts.id_of(name), name, address)

    def begin_for(self, account: str, address: str | None) -> Attempt:
        """Do the same for an account that a token speaks for."""
        return self._begin(account, "", address)

    def _begin(self, account: str | None, name: str, address: str | None) -> Attempt:
        pair, everywhere = self._by_account(account, name, address)
        known = address is not None and self._tallies.known(pair.document, pair.entry)
        by_address = None if known else self._by_address(address)
        try:
            self._tallies.check(pair, *([by_address] if by_address else []))
            if by_address is not None:
                self._tallies.count(by_address)
            counts = self._tallies.count(pair, everywhere)
        except TooMany:
            if address is None:
                self._warn_once()
            raise
        over = counts[everywhere.entry] - FREE_BY_ACCOUNT
        slow = 0.0 if known or over <= 0 else min(SLOWEST, SLOW_AT_FIRST * 2.0 ** min(over, 30))
        return Attempt(
            account=account, slow=slow, pair=pair, everywhere=everywhere, address=by_address
        )

    def right(self, attempt: Attempt) -> None:
        """Forget what was counted: the password was right."""
        pair, known = attempt.pair, attempt.pair.entry if attempt.account is not None else ""
        self._tallies.take_back(pair.document, pair.entry, attempt.everywhere.entry, known=known)
        if attempt.address is not None:
            self._tallies.take_back(attempt.address.document, "", attempt.address.entry)

    def registering(self, address: str | None) -> None:
        """Let a registration pass, and count it.

        Raises:
            TooMany: it has to wait.
        """
        if address is not None:
            self._tallies.count(self._names(address))

    def naming(self, account: str) -> None:
        """Let an account ask for another name, and count it: the answer says which are taken.

        Raises:
            TooMany: it has to wait.
        """
        self._tallies.count(self._names(account))

    def mailing(self, what: str, key: str, by: str | None) -> None:
        """Let a mail to an address pass, and count it, whosever it is.

        Args:
            what: it is for: whoever asks for one does not hold up the other.
            key: of the address.
            by: account or address of the client (see `counted`), which may ask for some mails to
                whomever; None: not known.

        Raises:
            TooMany: it has to wait.
        """
        if by is not None:
            self._tallies.count(self._mails(f"by {by}", FREE_MAILS_OF_ONE))
        self._tallies.count(self._mails(f"{what} {key}", FREE_MAILS))

    def _names(self, who: str) -> Limit:
        return self._limit(
            "registrations",
            who,
            free=FREE_REGISTRATIONS,
            longest=LONGEST_TO_REGISTER,
            decay=DECAY_TO_REGISTER,
        )

    def _mails(self, entry: str, free: int) -> Limit:
        return self._limit(
            "mails", entry, free=free, longest=LONGEST_TO_REGISTER, decay=DECAY_OF_MAILS
        )

    def _by_account(
        self, account: str | None, name: str, address: str | None
    ) -> tuple[Limit, Limit]:
        # A name of nobody is treated alike, or the waits would say which names there are.
        who = account or f"nobody {name}"
        short = account.partition(":")[2] if account else f"nobody-{self._tallies.bucket(who)}"
        return Limit(
            document=f"throttle:{short}",
            entry=self._tallies.digest(who, address or "-"),
            free=FREE,
            longest=LONGEST,
            decay=DECAY,
        ), Limit(
            document=f"throttle:{short}",
            entry=self._tallies.digest(who),
            free=FREE_BY_ACCOUNT,
            longest=SLOWEST,
            decay=DECAY_BY_ADDRESS,
            strict=False,
        )

    def _warn_once(self) -> None:
        if not self._warned:
            logger.warning(
                "the addresses of clients are not known, so who guesses at an account holds up its "
                "owner; name the proxy in [converge.server] trusted_proxies"
            )
        self._warned = True

    def _by_address(self, address: str | None) -> Limit | None:
        if address is None:
            return None
        return self._limit(
            "address",
            address,
            free=FREE_BY_ADDRESS,
            longest=LONGEST_BY_ADDRESS,
            decay=DECAY_BY_ADDRESS,
        )

    def _limit(self, kind: str, who: str, *, free: int, longest: float, decay: float) -> Limit:
        """Describe what is counted for somebody, in one of the documents that all share."""
        return Limit(
            document=f"throttle:{kind}-{self._tallies.bucket(who)}",
            entry=self._tallies.digest(who),
            free=free,
            longest=longest,
            decay=decay,
        )


def counted(address: str | None) -> str | None:
    """Return what of a client's address counts: an IPv6 network is one client.

    None: nothing of it. A private address is that of a proxy that was not named in
    `trusted_proxies`, and behind it is everybody.

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
