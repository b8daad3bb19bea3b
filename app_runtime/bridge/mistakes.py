"""What an app asks for and cannot have, gathered, so that whoever mends it is told all at once.

It changes with how that is told.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from jac_converge.app_runtime.bridge.restspecs import BadDeclaration

__all__ = ["Mistakes"]


class Mistakes:
    """Those that were found so far."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def add(self, lines: Iterable[str]) -> None:
        """Add some; one that is known already is told once."""
        self._lines |= dict.fromkeys(lines)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Go on after a `BadDeclaration`, and keep what it says."""
        try:
            yield
        except BadDeclaration as error:
            self.add(str(error).splitlines())

    def tell(self) -> None:
        """End here, if there were any.

        Raises:
            BadDeclaration: a line for each.
        """
        if self._lines:
            raise BadDeclaration("\n".join(self._lines))
