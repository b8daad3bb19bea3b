"""One line of log for each thing that happens to an account: what, whose, and from where.

It has ids, never names (people type passwords there), tokens or passwords. It changes with what an
operator has to be able to look up afterwards.
"""

import logging

from fastapi.requests import HTTPConnection

__all__ = ["address_of", "audit"]

logger = logging.getLogger(__name__)


def address_of(request: HTTPConnection) -> str | None:
    """Return where a request came from, as far as it is known."""
    return request.client.host if request.client else None


def audit(
    event: str,
    request: HTTPConnection,
    account: str = "-",
    *,
    alarming: bool = False,
    **more: str,
) -> None:
    """Write a line.

    Args:
        event: in one word.
        request: where it came from.
        account: its id; "-": of nobody that we know.
        alarming: somebody should look at it.
        more: ids and words of ours; `by`: the account that did it, where that is another one.
    """
    level = logging.WARNING if alarming else logging.INFO
    address = address_of(request) or "-"
    ids = {"account": account, "address": address, **more}
    short = {"account": account.rpartition(":")[2], "address": address}
    short |= {name: value.rpartition(":")[2] for name, value in more.items()}
    told = " ".join(f"{name}={value}" for name, value in short.items())
    logger.log(level, "auth %s %s", event, told, extra={"event": event, **ids})
