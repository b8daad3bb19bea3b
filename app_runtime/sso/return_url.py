"""Where a browser may go after a login: to a page of the app, or to one that jac.toml lists.

Pure. It changes with what counts as such a page.
"""

from collections.abc import Sequence
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["is_own", "may_return"]

LONGEST = 1024  # characters
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def may_return(url: str, own: str, allowed: Sequence[str]) -> bool:
    """Say whether a browser may be sent there.

    Args:
        url: a path of the app, or a whole URL.
        own: URL of the app.
        allowed: pages of others; one that ends with / has all below it.

    >>> may_return("/after?tab=1", "https://shop.example", ())
    True
    >>> may_return("//evil.example", "https://shop.example", ())
    False
    """
    if not _is_plain(url):
        return False
    if is_own(url, own):
        return True
    given = _split(url)
    return given is not None and any(_fits(given, urlsplit(entry)) for entry in allowed)


def is_own(url: str, own: str) -> bool:
    """Say whether a URL that is fit is a page of the app."""
    if url.startswith("/"):
        return not url.startswith("//")
    given, app = _split(url), urlsplit(own)
    return given is not None and _origin(given) == _origin(app) and _is_below(given, app.path)


def _is_plain(url: str) -> bool:
    r"""Refuse what a browser and we might read differently: it drops tabs, and \ is / to it."""
    return 0 < len(url) <= LONGEST and "\\" not in url and url.isascii() and _is_visible(url)


def _is_visible(url: str) -> bool:
    return all("!" <= char <= "~" for char in url)


def _split(url: str) -> SplitResult | None:
    try:
        given = urlsplit(url)
        _ = given.port  # raises where it is none
    except ValueError:
        return None
    named = given.scheme in ("http", "https") and given.hostname and "@" not in given.netloc
    return given if named else None


def _fits(given: SplitResult, entry: SplitResult) -> bool:
    if entry.hostname in LOOPBACK and entry.port is None:
        # A program of the user's machine listens where it can (RFC 8252, section 7.3).
        same = (given.scheme, given.hostname) == (entry.scheme, entry.hostname)
    else:
        same = _origin(given) == _origin(entry)
    if not same:
        return False
    if entry.path.endswith("/"):
        # The path without its / is another page, which `_is_below` lets pass for the app's own.
        return given.path.startswith(entry.path) and _is_below(given, entry.path)
    return given.path == entry.path


def _is_below(given: SplitResult, path: str) -> bool:
    folder = path if path.endswith("/") else f"{path}/"
    parts = unquote(given.path).split("/")
    climbs = ".." in parts or "." in parts or "%" in unquote(given.path)
    return not climbs and f"{given.path}/".startswith(folder)


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    usual = {"http": 80, "https": 443}.get(url.scheme)
    return url.scheme, url.hostname, url.port or usual
