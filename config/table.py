"""What holds for every table of `[converge]`. It changes when tables are checked in another way."""

from pydantic import ConfigDict

__all__ = ["TABLE"]

TABLE = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)
"""Nothing changes after it was read, an unknown key is an error, and no error shows a value."""
