"""Who may call what: the roles that walkers and functions ask for, in code or in jac.toml.

It changes with what a role opens.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from jac_converge.app_runtime.auth.account import ADMIN, USER
from jac_converge.app_runtime.bridge.program import Program
from jac_converge.app_runtime.bridge.restspecs import BadDeclaration
from jac_converge.app_runtime.problems import Problem
from jac_converge.roles import ATTRIBUTE

__all__ = ["ROLE_REQUIRED", "check_role", "known_roles", "restrict"]

ROLE_REQUIRED = "ROLE_REQUIRED"


def restrict(program: Program, roles: Mapping[str, Sequence[str]]) -> None:
    """Give walkers and functions the roles of jac.toml, in place of those of their code.

    Args:
        program: is changed.
        roles: of `[converge.server.roles]`: name -> who may call it.

    Raises:
        BadDeclaration: a name is of no walker and no function, or of several.
    """
    _check_names(program, roles)
    # What is served under a second name, or as a subclass, must not be a way around.
    walkers = {program.walkers[name].cls: roles[name] for name in roles if name in program.walkers}
    for name, walker in program.walkers.items():
        allowed = roles.get(name, _nearest(walker.cls, walkers))
        if allowed is not None:
            program.walkers[name] = replace(walker, roles=tuple(allowed), public=False)
    functions = {
        program.functions[name].function: roles[name] for name in roles if name in program.functions
    }
    for name, function in program.functions.items():
        allowed = roles.get(name, functions.get(function.function))
        if allowed is not None:
            program.functions[name] = replace(function, roles=tuple(allowed), public=False)


def _nearest(cls: type, roles: Mapping[type, Sequence[str]]) -> Sequence[str] | None:
    """Return the roles of a walker or of its nearest base; None: its code says which, or nobody."""
    for base in cls.__mro__:
        if base in roles:
            return roles[base]
        if ATTRIBUTE in vars(base):
            return None
    return None


def _check_names(program: Program, names: Collection[str]) -> None:
    """Look whether all names of `[converge.server.roles]` are of something.

    Raises:
        BadDeclaration: the names that are not, and what they may be meant for; or that two are of.
    """
    wrong = list(_unknown(program, names))
    if wrong:
        raise BadDeclaration("\n".join(wrong))


def _unknown(program: Program, names: Collection[str]) -> Iterator[str]:
    known = sorted({*program.walkers, *program.functions})
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else "; take it out, or name one of both"
            yield f"[converge.server.roles] {name}: no walker or function of the app{meant}"
        elif len(files := program.definitions.get(_defined_as(program, name), ())) > 1:
            where = " and ".join(sorted(Path(file).name for file in files))
            text = f"[converge.server.roles] {name}: {where} define one each; which is meant? "
            yield f"{text}Rename one of them, or say @roles in the code"


def _defined_as(program: Program, name: str) -> str:
    """Return the name in the code of what is served under a name."""
    if name in program.walkers:
        return program.walkers[name].cls.__name__
    return program.functions[name].function.__name__


def known_roles(program: Program) -> frozenset[str]:
    """Return every role that an account may be given."""
    specs = (*program.walkers.values(), *program.functions.values())
    return frozenset({ADMIN, USER}.union(*(spec.roles for spec in specs)))


def check_role(role: str, allowed: Sequence[str]) -> None:
    """Look whether a role is one of those that something asks for; asking for none is for all.

    Raises:
        Problem: 403, it is not.
    """
    if allowed and role not in allowed:
        text = f"this needs the role {' or '.join(allowed)}"
        raise Problem(403, text, code=ROLE_REQUIRED)
