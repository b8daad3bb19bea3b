"""Cookies of a login: the browser that began it, and no other, ends it.

It changes with what browsers do with cookies.
"""

from fastapi import Request
from starlette.responses import Response

__all__ = ["clear", "clear_oldest", "read", "write"]


def write(response: Response, name: str, value: str, *, secure: bool, lifetime: int) -> None:
    """Set a cookie that scripts do not see and other sites do not cause to be sent.

    Args:
        response: sets it.
        name: without the prefix.
        value: fit for a cookie.
        secure: the browser speaks TLS.
        lifetime: s.
    """
    response.set_cookie(
        _full(name, secure=secure),
        value,
        max_age=lifetime,
        path="/",
        secure=secure,
        httponly=True,
        # Not strict: the browser comes back from another site.
        samesite="lax",
    )


def read(request: Request, name: str, *, secure: bool) -> str | None:
    """Return the value of a cookie."""
    return request.cookies.get(_full(name, secure=secure))


def clear(response: Response, name: str, *, secure: bool) -> None:
    """Let the browser forget a cookie."""
    write(response, name, "", secure=secure, lifetime=0)


def clear_oldest(
    request: Request, response: Response, prefix: str, *, secure: bool, but: int
) -> None:
    """Let the browser forget cookies that begin alike, but for the latest ones.

    Another page may begin logins without end, whose cookies would be too much for a head.
    """
    full = _full(prefix, secure=secure)
    found = [name for name in request.cookies if name.startswith(full)]  # the oldest comes first
    for name in found[: max(0, len(found) - but)]:
        clear(response, f"{prefix}{name.removeprefix(full)}", secure=secure)


def _full(name: str, *, secure: bool) -> str:
    """With the prefix by which a browser takes it from this very host and over TLS only."""
    return f"__Host-jac-{name}" if secure else f"jac-{name}"
