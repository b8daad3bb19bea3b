"""What an app says about a file, alike wherever files are: names and texts. Pure.

Of all of it, `content_type` means something to us: what the file is served as. It changes with what
an app may say.
"""

import mimetypes
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

__all__ = ["BadMetadata", "checked_metadata", "kind_of", "metadata_in", "metadata_out"]

HEADER = "x-amz-meta-"
KIND = "content_type"
MOST = 2048  # bytes, of S3
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]{1,127}"  # noqa: S105 - of HTTP
_KIND = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?{_TOKEN}={_TOKEN})*")


class BadMetadata(ValueError):
    """This cannot be said about a file; the text says why."""


def checked_metadata(given: Mapping[Any, Any] | None) -> dict[str, str]:
    """Return what an app says about a file in its one form, with names in lower case.

    Raises:
        BadMetadata: S3 would not keep it, or not as it is.

    >>> checked_metadata({"Taken-By": "Ann"})
    {'taken-by': 'Ann'}
    """
    checked: dict[str, str] = {}
    for name, value in (given or {}).items():
        if not isinstance(name, str) or _NAME.fullmatch(name.lower()) is None:
            raise BadMetadata(f"metadata is called in a-z, 0-9, - and _, not {str(name)[:80]!r}")
        if not isinstance(value, str) or not value:
            raise BadMetadata(f"metadata {name!r} is a text with something in it")
        checked[name.lower()] = value
    if KIND in checked and _KIND.fullmatch(checked[KIND]) is None:
        raise BadMetadata(f'{KIND} is a media type such as "image/png"')
    try:
        size = sum(len(name) + len(value) for name, value in metadata_out(checked).items())
    except UnicodeEncodeError:
        raise BadMetadata("metadata has no half of a surrogate pair") from None
    if size > MOST:
        raise BadMetadata(f"metadata has at most {MOST} bytes in its headers, not {size}")
    return checked


def kind_of(key: str, metadata: Mapping[str, str]) -> str:
    """Return the media type of a file: what the app said, or else what its name tells."""
    said = metadata.get(KIND, "")
    if _KIND.fullmatch(said):  # in a bucket, somebody else may have said anything
        return said
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def metadata_out(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return headers for S3, which are ASCII.

    >>> metadata_out({"by": "Zoë"})
    {'x-amz-meta-by': 'Zo%C3%AB'}
    """
    return {f"{HEADER}{name}": quote(value, safe="/+;=") for name, value in metadata.items()}


def metadata_in(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what headers of S3 say about a file.

    >>> metadata_in({"X-Amz-Meta-By": "Zo%C3%AB", "ETag": "1"})
    {'by': 'Zoë'}
    """
    found = ((name.lower(), value) for name, value in headers.items())
    return {
        name.removeprefix(HEADER): unquote(value)
        for name, value in found
        if name.startswith(HEADER)
    }
