"""What jac.toml keeps out of an image: names and paths in the folder of the app. Pure.

As in a .gitignore: a name alone counts at any depth, a path from the folder of jac.toml on, two
stars in it are any number of folders, and a slash at the end is for folders alone. It changes when
there are more ways to say what stays out.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

__all__ = ["Exclusion"]


class Exclusion:
    """Patterns, and which of them nothing was found for.

    Args:
        patterns: such as `*.pem`, `data/`, `docs/*.md`.

    >>> found = Exclusion(["*.pem", "/docs/*.md", "data/"])
    >>> [found.excludes(it, folder=False) for it in ("a/b.pem", "docs/a.md", "docs/a/b.md", "data")]
    [True, True, False, False]
    >>> found.excludes("some/data", folder=True)
    True
    >>> Exclusion(["**/*.pem"]).excludes("a/b/c.pem", folder=False)
    True
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = tuple(patterns)
        self._used: set[str] = set()

    @property
    def unused(self) -> tuple[str, ...]:
        """Those that nothing was found for."""
        return tuple(pattern for pattern in self._patterns if pattern not in self._used)

    def excludes(self, inside: str, *, folder: bool) -> bool:
        """Whether something stays out, with all that is in it.

        Args:
            inside: path below the folder of jac.toml, with slashes.
            folder: whether it is one.
        """
        found = [it for it in self._patterns if _matches(inside, it, folder=folder)]
        self._used.update(found)
        return bool(found)


def _matches(inside: str, pattern: str, *, folder: bool) -> bool:
    wanted = pattern.removesuffix("/")
    if wanted != pattern and not folder:
        return False
    parts = inside.split("/")
    if "/" not in wanted:
        return fnmatchcase(parts[-1], wanted)
    return _fits(parts, wanted.removeprefix("/").split("/"))


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    if not wanted:
        return not parts
    first, *rest = wanted
    if first != "**":
        return bool(parts) and fnmatchcase(parts[0], first) and _fits(parts[1:], rest)
    # At the end they are what is in a folder, and not the folder itself.
    return any(_fits(parts[n:], rest) for n in range(len(parts) + 1)) if rest else bool(parts)
