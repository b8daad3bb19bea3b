"""Passwords and their hashes: argon2id, a few at a time.

It changes with what a password has to be, and how it is hashed.
"""

import os
import secrets
import threading
from functools import cache
from typing import Any

from jac_converge.app_runtime.auth.names import Refused

__all__ = ["check_fit", "hashed", "is_weak", "matches"]

MIN_PASSWORD, MAX_PASSWORD = 8, 1024  # characters; the upper bound is for the hash's running time
# Each takes 19 MiB while it runs, and a core: half of them stay for calls.
HASHES_AT_ONCE = max(1, (os.cpu_count() or 2) // 2)

_hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)


def check_fit(password: str) -> None:
    """Check a new password.

    Raises:
        Refused: it is not fit.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Refused(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")


def hashed(password: str) -> str:
    """Hash a password; about 20 ms."""
    with _hashing:
        return str(_hasher().hash(password))


def matches(known: str | None, password: str) -> bool:
    """Compare a password with a hash; the cost is the same where there is none."""
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

    with _hashing:
        try:
            right = bool(_hasher().verify(known or _nobodys(), password[: MAX_PASSWORD + 1]))
        except (InvalidHashError, VerificationError):
            # A wrong password, or a hash that this argon2 cannot read: it matches nothing.
            return False
    return right and known is not None


def is_weak(known: str) -> bool:
    """Say whether a hash is weaker than one of today."""
    return bool(_hasher().check_needs_rehash(known))


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher  # noqa: PLC0415 - not before the first login

    # OWASP's first choice for argon2id: a guess costs 19 MiB and two passes.
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


@cache
def _nobodys() -> str:
    return str(_hasher().hash(secrets.token_hex(16)))
