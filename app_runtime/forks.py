"""Who has to begin anew in a forked child.

A walker may fork, by `os.fork` or multiprocessing. Two processes that talk through one socket read
each other's answers, and a lock that another thread held stays held. It changes with how a process
learns that it is a copy.
"""

import os
import weakref
from typing import Protocol

__all__ = ["begin_anew_in_children"]


class Forked(Protocol):
    """Something with connections or locks."""

    def begin_anew(self) -> None:
        """Forget connections without ending them: the parent goes on with them."""
        ...


_known: "weakref.WeakSet[Forked]" = weakref.WeakSet()


def begin_anew_in_children(one: Forked) -> None:
    """Have something begin anew in each child, before that does anything else."""
    _known.add(one)


def _begin_anew() -> None:
    for one in list(_known):
        one.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows, which knows no forks
    os.register_at_fork(after_in_child=_begin_anew)
