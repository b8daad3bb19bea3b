"""Who somebody is, as a provider tells it. It changes with what we want to know from providers."""

from dataclasses import dataclass

__all__ = ["Person"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who has logged in at a provider."""

    provider: str
    """NAME of the table in jac.toml."""
    subject: str
    """What the provider knows them by; it never changes hands there."""
    email: str | None = None
    """An address that the provider itself has verified; no other one is of use."""
