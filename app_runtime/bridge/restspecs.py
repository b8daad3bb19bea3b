"""What `@restspec` says of a walker or function: method, path, and the protocol it is called by.

It changes with that decorator.
"""

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["BadDeclaration", "RestSpec", "restspec_of"]

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PROTOCOLS = ("http", "webhook", "websocket")


class BadDeclaration(Exception):
    """The app asks for what cannot be served; the text names the walker, the field or the job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestSpec:
    """How a walker or function wants to be called."""

    method: str = "POST"
    path: str | None = None
    """None: the one that its name gives."""
    protocol: Literal["http", "webhook", "websocket"] = "http"
    broadcast: bool = False
    """Whether an answer goes to every websocket of the walker."""

    @property
    def plain(self) -> bool:
        """Whether nothing was asked for but what every walker has."""
        return self.protocol == "http" and self.path is None and self.method == "POST"


def restspec_of(name: str, member: Any) -> RestSpec:
    """Read the decorator of a class or function; a subclass does not have that of its base.

    Raises:
        BadDeclaration: it has a method, path or protocol that there is not.
    """
    given = vars(member).get("restspec")
    if given is None:
        return RestSpec()
    method = str(getattr(given.method, "value", given.method) or "POST").upper()
    if method not in METHODS:
        raise BadDeclaration(f"@restspec of {name}: method {method} is none of {METHODS}")
    path = given.path or None
    if path is not None and not path.startswith("/"):
        raise BadDeclaration(f"@restspec of {name}: path {path} has to begin with /")
    protocol = str(getattr(given.protocol, "value", given.protocol) or "http").lower()
    if protocol not in PROTOCOLS:
        raise BadDeclaration(f"@restspec of {name}: protocol {protocol} is none of {PROTOCOLS}")
    if protocol != "http" and not isinstance(member, type):
        raise BadDeclaration(f"@restspec of {name}: only a walker can be a {protocol}")
    return RestSpec(
        method=method,
        path=path,
        protocol=protocol,  # type: ignore[arg-type] # it is one of them
        broadcast=bool(given.broadcast),
    )
