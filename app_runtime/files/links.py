"""URLs by which whoever has one reads one file, until it expires.

What a walker lets its caller know is what the caller may read: the right to a file is the right to
call the walker that gives its URL. Signed with a key that is made of the app's secret, and is good
for nothing else. It changes with what a link says.
"""

import hmac
from collections.abc import Callable, Sequence
from time import time
from urllib.parse import quote, urlencode

__all__ = ["LONGEST", "Links", "disposition"]

LONGEST = 7 * 86400  # s; S3 gives no longer one
PURPOSE = b"jac-converge: links to files"
SHOWN = ("audio/", "video/", "image/", "text/plain", "application/pdf")
"""Types that a browser may show. HTML or SVG of somebody would run as a page of the app."""
SCRIPTED = ("image/svg",)


class Links:
    """Makes links, and checks them."""

    def __init__(
        self, base: str, secrets: Sequence[str], *, clock: Callable[[], float] = time
    ) -> None:
        """Describe them.

        Args:
            base: what comes before the key: a path, or a URL where that is known.
            secrets: the first one signs; what was signed with another one counts.
            clock: s since the epoch.
        """
        self._base = base
        self._keys = [hmac.digest(one.encode(), PURPOSE, "sha256") for one in secrets]
        self._clock = clock

    def link(self, key: str, seconds: int) -> str:
        """Return a link to a file.

        Raises:
            ValueError: it would not be good, or for too long.
        """
        if not 0 < seconds <= LONGEST:
            raise ValueError(f"expires_in is from 1 to {LONGEST} s, not {seconds}")
        expires = int(self._clock()) + seconds
        query = urlencode({"expires": expires, "signature": _signed(self._keys[0], key, expires)})
        return f"{self._base}/{quote(key)}?{query}"

    def good(self, key: str, expires: str, signature: str) -> bool:
        """Say whether a link was made here, and is good now."""
        if not (expires.isascii() and expires.isdigit() and len(expires) <= len("9999999999")):
            return False
        given = signature.encode(errors="replace")
        # All of them each time: how long it takes says nothing.
        fits = [
            hmac.compare_digest(_signed(one, key, int(expires)).encode(), given)
            for one in self._keys
        ]
        return any(fits) and self._clock() < int(expires)


def disposition(key: str, kind: str) -> str:
    """Say whether a browser shows a file or saves it, and under which name.

    >>> disposition("storage/a.html", "text/html")
    "attachment; filename*=UTF-8''a.html"
    """
    kind = kind.lower()
    shown = kind.startswith(SHOWN) and not kind.startswith(SCRIPTED)
    name = quote(key.rpartition("/")[2], safe="")
    return f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}"


def _signed(secret: bytes, key: str, expires: int) -> str:
    return hmac.digest(secret, f"{expires}\n{key}".encode(), "sha256").hex()
