"""Command-line flags as data: one table per command, read by both front doors.

The plugin entry point turns a table into arguments of the `jac` command, the console script into
argparse. It must stay cheap: every `jac` command imports it.
"""

from argparse import ArgumentParser
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

__all__ = ["Flag", "add_flags"]


type FlagType = type[str | int | bool]
"""What a flag's value is; a bool needs no value on the command line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One argument of a command."""

    name: str
    """As typed after `--`, or the name of the positional argument."""
    help: str
    type: FlagType = str
    default: str | int | bool | None = None
    """None: not given, so the value of jac.toml stands."""
    positional: bool = False
    metavar: str | None = None
    short: str = ""
    """A letter that stands for it."""

    @property
    def parameter(self) -> str:
        """The name as a Python identifier that a function may have as an argument."""
        name = self.name.replace("-", "_")
        return f"{name}_" if iskeyword(name) else name


def add_flags(parser: ArgumentParser, flags: tuple[Flag, ...]) -> None:
    """Declare the flags on an argparse parser."""
    for flag in flags:
        options: dict[str, Any] = {"help": flag.help, "default": flag.default}
        if flag.type is bool:
            options["action"] = "store_true"
            options["default"] = bool(flag.default)
        else:
            options["type"] = flag.type
            options["metavar"] = flag.metavar
        if flag.positional:
            parser.add_argument(flag.parameter, **options)
        else:
            short = (f"-{flag.short}",) if flag.short else ()
            parser.add_argument(*short, f"--{flag.name}", dest=flag.parameter, **options)
