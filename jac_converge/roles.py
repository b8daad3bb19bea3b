"""`@roles("admin", ...)`: who may call a walker or function, said where it is written.

```jac
import from jac_converge.roles { roles }

@roles("admin", "editor")
walker publish { ... }
```

Apps import this, so it imports nothing. It changes with what an app may say about its callers.
"""

from collections.abc import Callable

__all__ = ["ATTRIBUTE", "roles"]

ATTRIBUTE = "converge_roles"
"""Where the decorator leaves the names."""

_NOBODY = "guest"


def roles[T](*names: str) -> Callable[[T], T]:
    """Let only accounts with one of these roles call a walker or function, `:pub` or not.

    A subclass of a walker has the roles of its base, unless it names its own.

    Args:
        names: in lower case; `user` is what everybody has who registers.

    Raises:
        ValueError: there are none, or one is not fit.

    >>> roles("Admin")
    Traceback (most recent call last):
    ValueError: @roles: 'Admin' is no role; write it in a-z, 0-9, - and _, such as "admin"
    """
    if not names:
        raise ValueError('@roles: name one at least, such as @roles("admin")')
    for name in names:
        if name == _NOBODY:
            raise ValueError("@roles: a guest has no account, so no role; make it :pub instead")
        if not _is_fit(name):
            wrong = f"@roles: {name!r} is no role; "
            raise ValueError(f'{wrong}write it in a-z, 0-9, - and _, such as "admin"')

    def mark(member: T) -> T:
        setattr(member, ATTRIBUTE, names)
        return member

    return mark


def _is_fit(name: object) -> bool:
    return (
        isinstance(name, str)
        and len(name) <= 32  # noqa: PLR2004 - as in jac.toml
        and name.isascii()
        and name == name.lower()
        and name.replace("-", "_").isidentifier()
    )
