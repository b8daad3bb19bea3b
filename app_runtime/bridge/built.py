"""jaclang's own compiler as an image has it: compiled ahead, so that no pod has to.

jaclang 0.16 keeps what it compiles of itself under a name that `sys.version` is part of: to the
second at which that Python was built. An image is built where its Python does not run, so it says
which `sys.version` its names were made with, and a pod lends that to jaclang. What the bytecode
needs, the same magic number, is checked. It changes with the runtime line below it.

Source: jaclang 0.16, meta_importer.py.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["MAGIC", "MARK", "PLACE", "use_built"]

MARK: Final = "BUILT"
"""Name of the file that says what the names were made with."""

PLACE: Final = Path("jac", "jir", "bootstrap")
"""In the folder of caches, where jaclang looks."""

MAGIC: Final = importlib.util.MAGIC_NUMBER.hex()


def use_built() -> None:
    """Import jaclang from what an image has compiled; nothing where there is no such thing."""
    base = os.environ.get("XDG_CACHE_HOME")
    if not base or "jaclang" in sys.modules:
        return
    try:
        told = json.loads(Path(base, PLACE, MARK).read_text())
    except OSError:
        return
    if told["magic"] != MAGIC:
        return
    with _version(told["version"]):
        from jaclang import meta_importer  # noqa: PLC0415 - the point is when
    original = meta_importer._bootstrap_compile  # noqa: SLF001 - by version, see above

    def compiled(*arguments: Any) -> Any:
        # A module that is imported later has its name from the same version.
        with _version(told["version"]):
            return original(*arguments)

    meta_importer._bootstrap_compile = compiled  # noqa: SLF001


@contextmanager
def _version(lent: str) -> Iterator[None]:
    own = sys.version
    sys.version = lent
    try:
        yield
    finally:
        sys.version = own
