"""One line of log for each thing that happens to an account: what, whose, and from where.

It has ids, never names (people type passwords there), tokens or passwords. It changes with what an
operator has to be able to look up afterwards.
"""

import logging

from fastapi import Request

__all__ = ["address_of", "audit"]

logger = logging.getLogger(__name__)


def address_of(request: Request) -> str | None:
    """Return where a request came from, as far as it is known."""
    return request.client.host if request.client else None


def audit(
    event: str,
    request: Request,
    account: str = "-",
    *,
    by: str | None = None,
    alarming: bool = False,
) -> None:
    """Write a line.

    Args:
        event: in one word.
        request: where it came from.
        account: its id; "-": of nobody that we know.
        by: id of the account that did it, where that is another one.
        alarming: somebody should look at it.
    """
    level = logging.WARNING if alarming else logging.INFO
    address = address_of(request) or "-"
    logger.log(
        level,
        "auth %s account=%s address=%s%s",
        event,
        account.rpartition(":")[2],
        address,
        f" by={by.rpartition(':')[2]}" if by is not None else "",
        extra={"event": event, "account": account, "address": address}
        | ({"by": by} if by is not None else {}),
    )
