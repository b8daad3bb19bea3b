"""The user's terminal: colours, keys as they are pressed, its size.

It changes with the systems that the command runs on.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Final

__all__ = ["colourful", "harmless", "raw_keys"]

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LOOK: Final = 0.1
"""s without a key until the reader may look at something else."""


def colourful(out: IO[str], environ: Mapping[str, str]) -> bool:
    """Whether to write in colours.

    Source: https://no-color.org
    """
    plain = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
    return not plain and out.isatty()


def harmless(text: str) -> str:
    r"""Spell out what would command the terminal: not everybody who writes a log means well.

    >>> harmless("\x1b[2Jgone")
    '\\x1b[2Jgone'
    """
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@contextmanager
def raw_keys() -> Iterator[Callable[[], bytes | None]]:
    """Let keys through as they are pressed, also Ctrl-C, until the block ends.

    Yields:
        Reads what was typed: nothing yet is `b""`, and the end is None.
    """
    if sys.platform == "win32":
        yield _windows_keys
        return
    import select  # noqa: PLC0415 - Windows has no such modules
    import termios  # noqa: PLC0415
    import tty  # noqa: PLC0415

    keyboard = sys.stdin.fileno()

    def keys() -> bytes | None:
        if not select.select([keyboard], [], [], _LOOK)[0]:
            return b""
        return os.read(keyboard, 4096) or None

    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard, termios.TCSADRAIN)  # what was typed ahead stays
        yield keys
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


if sys.platform == "win32":
    import msvcrt
    import time

    _SPECIAL: Final = {
        "H": b"\x1b[A",
        "P": b"\x1b[B",
        "M": b"\x1b[C",
        "K": b"\x1b[D",
        "G": b"\x1b[H",
        "O": b"\x1b[F",
        "S": b"\x1b[3~",
    }

    def _windows_keys() -> bytes | None:
        if not msvcrt.kbhit():
            time.sleep(_LOOK / 10)
            return b""
        key = msvcrt.getwch()
        if key in {"\x00", "\xe0"}:  # an arrow, say: what comes next tells which
            return _SPECIAL.get(msvcrt.getwch(), b"")
        return key.encode()
