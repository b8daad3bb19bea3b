"""What a file may be called, alike wherever files are. Pure.

Names come from clients, so nothing in one leads elsewhere: no `..`, no hidden name, no backslash,
no control character. It changes with what a name may hold.
"""

import re

__all__ = ["BadKey", "checked_folder", "checked_key", "own_folder"]

OWN = "own-files"
"""Folder of the files of accounts, which no `store(...)` reaches."""
LONGEST, LONGEST_PART = 900, 200  # bytes; S3 takes 1024 with a prefix, file systems 255
WRONG = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
"""What leads elsewhere, what is no line of a log and no XML, and what makes `gpj.exe` of a name
look like `exe.jpg`."""


class BadKey(ValueError):
    """No file can have this name; the text says why."""


def checked_key(key: object) -> str:
    """Return the name of a file in its one form.

    Args:
        key: as the app or a client gave it; a `/` at its beginning means nothing, as in jaclang.

    Raises:
        BadKey: it is none.

    >>> checked_key("/photos/ann.png")
    'photos/ann.png'
    >>> checked_key("photos/../../etc/passwd")
    Traceback (most recent call last):
    jac_converge.app_runtime.files.keys.BadKey: the name of a file has no part like '..'
    """
    if not isinstance(key, str):
        raise BadKey(f"the name of a file is a str, not {type(key).__name__}")
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise BadKey("the name of a file has no half of a surrogate pair") from None
    if length > LONGEST:
        raise BadKey(f"the name of a file has at most {LONGEST} bytes, not {length}")
    parts = key.lstrip("/").split("/")
    for part in parts:
        _check(part)
    return "/".join(parts)


def checked_folder(base_path: object) -> str:
    """Return the folder of a `store(base_path)`.

    Raises:
        BadKey: it is none below the configured one.
    """
    wrong = f"store({base_path!r}) needs a folder below [converge.storage] path: "
    if not isinstance(base_path, str) or base_path.startswith("/"):
        raise BadKey(f"{wrong}it does not begin with /")
    try:
        folder = checked_key(base_path.removeprefix("./").rstrip("/"))
    except BadKey as error:
        raise BadKey(f"{wrong}{error}") from None
    if folder.split("/")[0] == OWN:
        raise BadKey(f"{wrong}{OWN} is for own_files() alone")
    return folder


def own_folder(root: str) -> str:
    """Return where the files of an account are.

    Args:
        root: id of its root.
    """
    return f"{OWN}/{root}"


def _check(part: str) -> None:
    if not part or part.startswith("."):
        raise BadKey(f"the name of a file has no part like {part!r}")
    if len(part.encode()) > LONGEST_PART:
        raise BadKey(f"each part of the name of a file has at most {LONGEST_PART} bytes")
    if WRONG.search(part):
        raise BadKey(
            "the name of a file has no backslash, control character or change of direction"
        )
