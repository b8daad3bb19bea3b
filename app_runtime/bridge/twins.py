"""Names that a .jac file gives twice: the second definition hides the first without a word.

jaclang's compiler says so of two archetypes, once, and runs the module all the same; its bytecode
cache has forgotten it by the next start. The bytecode has both, so it is asked. It changes with how
jaclang keeps bytecode.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType

from jaclang.jac0core.runtime import JacRuntime as Jac

__all__ = ["given_twice"]

_CLASS = ("__name__", "__module__", "__qualname__")
"""What the code of every class begins with, and that of no function."""


def given_twice(files: Iterable[str]) -> Iterator[str]:
    """Yield a line for each name of a walker, node or the like that hides another one.

    Functions alone may have one name, for they may be there by a condition.

    Args:
        files: of the app, all of them imported.
    """
    for file in sorted(files):
        code = Jac.get_compiler().get_bytecode(file, Jac.get_program())
        for name, lines in _defined(code).items() if code is not None else ():
            if len(lines) > 1:
                first, *others = map(str, lines)
                again = " and ".join(others)
                yield (
                    f"{name} is defined on line {first} of {Path(file).name} and again on line "
                    f"{again}; give one of them another name"
                )


def _defined(code: CodeType) -> dict[str, list[int]]:
    """Return on which lines the module defines each name that is of a class."""
    lines: defaultdict[str, list[int]] = defaultdict(list)
    classes = set()
    for part in code.co_consts:
        if isinstance(part, CodeType):
            lines[part.co_name].append(part.co_firstlineno)
            if part.co_names[: len(_CLASS)] == _CLASS:
                classes.add(part.co_name)
    return {name: lines[name] for name in lines if name in classes}
