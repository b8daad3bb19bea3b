"""What is wrong with a configuration, as data: where, which key, and what to write instead.

The tree: `ConfigError` carries one or more `Problem`s; there is no other error in this package.
It changes when a problem has something more to say.
"""

from dataclasses import dataclass

__all__ = ["ConfigError", "Problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with the configuration, and what to write instead."""

    file: str | None
    """The file, as the user would name it; None for a flag or an environment variable."""
    line: int | None
    """Counted from 1; None where no line says it."""
    key: str | None
    """Dotted key, such as `converge.kubernetes.replicas`."""
    message: str
    """What is wrong, then what to do about it. Never a secret value."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (place, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used; carries every problem, not just the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
