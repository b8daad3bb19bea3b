"""Whether a .jac file is one, for commands that never run it.

It changes with the compiler's front end.
"""

from pathlib import Path

from jac_converge.config.problems import Problem

__all__ = ["syntax_problems"]


def syntax_problems(file: Path) -> list[Problem]:
    """Return what keeps a file from being parsed; nothing where no jaclang could say so."""
    try:
        from jaclang.jac0core.program import JacProgram  # noqa: PLC0415 - a second, when needed
    except ImportError:
        return []

    program = JacProgram()
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [Problem(file=str(file), line=None, key=None, message=f"cannot be read: {error}")]
    program.parse_str(source, str(file))
    return [
        Problem(
            file=str(file),
            line=error.loc.first_line if error.loc else None,
            key=None,
            message=f"does not compile: {error.msg}",
        )
        for error in program.errors_had
    ]
