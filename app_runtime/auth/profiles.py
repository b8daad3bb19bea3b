"""Profiles: what accounts tell of themselves, which no call of the app reads.

It changes with what a profile may hold.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from jac_converge.app_runtime.auth.names import Refused
from jac_converge.app_runtime.stores import Document, DocumentStore, WriteBatch

__all__ = ["Profile", "checked", "profile_change", "profile_of", "profile_with"]

type Profile = Mapping[str, Any]
"""Field -> text, number or truth value."""

MOST_FIELDS = 20
MOST_BYTES = 8192
LONGEST = 1024  # characters of a value
_FIELD = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,63}", re.ASCII)


def checked(profile: Profile) -> dict[str, Any]:
    """Return a profile that is fit, or a part of one.

    Raises:
        Refused: it is not.
    """
    for field, value in profile.items():
        plain = isinstance(value, str | int | float | bool)
        if not _FIELD.fullmatch(field) or not plain or len(str(value)) > LONGEST:
            raise Refused(f"profile: a field is text of {LONGEST} characters, a number or a bool")
    if len(profile) > MOST_FIELDS or len(json.dumps(profile)) > MOST_BYTES:
        raise Refused(f"profile: at most {MOST_FIELDS} fields and {MOST_BYTES} bytes")
    return dict(profile)


def profile_of(store: DocumentStore, account: str) -> dict[str, Any]:
    """Read the profile of an account; {} where it has none."""
    stored = store.get([_key(account)]).get(_key(account))
    return dict(stored.body["fields"]) if stored is not None else {}


def profile_with(account: str, profile: Profile) -> Document:
    """Make the document of a profile."""
    return Document(id=_key(account), kind="profile", body={"fields": checked(profile)})


def profile_change(store: DocumentStore, account: str, changes: Profile) -> WriteBatch:
    """Return what changes some fields of a profile, and leaves the others.

    Raises:
        Refused: it would not be fit.
    """
    if not changes:
        return WriteBatch()
    stored = store.get([_key(account)]).get(_key(account))
    before = stored.body["fields"] if stored is not None else {}
    new = profile_with(account, {**before, **checked(changes)})
    if stored is None:
        return WriteBatch(creates=(new,))
    return WriteBatch(updates=(stored._replace(body=new.body),))


def _key(account: str) -> str:
    return f"profile:{account.partition(':')[2]}"
