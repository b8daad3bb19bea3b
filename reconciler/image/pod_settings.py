"""jac.toml as pods read it: without what only `jac scale` reads. Pure.

Else each edit of a replica count would make another image, and restart every pod. It changes when
`jac serve` comes to read one of the tables that are left out.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["for_pods"]

_LEFT_OUT: Final = frozenset({"kubernetes", "watch", "secrets"})
"""Tables of `[converge]`, as `config.load` knows them."""

_HEADER = re.compile(r"\s*\[\[?\s*(?P<path>[^\]]+?)\s*\]\]?\s*(#.*)?$")


def for_pods(text: str) -> str:
    r"""Leave out the tables that no pod reads, but for the app's name.

    Where they are written in a way that lines cannot tell, the text stays as it is.

    >>> for_pods('[converge.server]\nport = 1\n[converge.kubernetes]\nreplicas = 2\n')
    '[converge.server]\nport = 1\n'
    """
    try:
        document = tomllib.loads(text)
    except ValueError:
        return text
    lines, kept = [], True
    for line in text.splitlines(keepends=True):
        if header := _HEADER.match(line):
            kept = not _is_left_out(tuple(part.strip(" \"'") for part in header["path"].split(".")))
        if kept:
            lines.append(line)
    wanted = _reduced(document)
    try:
        shorter = "".join((*lines, *_added(tomllib.loads("".join(lines)), wanted)))
        return shorter if tomllib.loads(shorter) == wanted else text
    except ValueError:
        return text


def _added(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """What the lines do not say any more: an empty table counts, as does the app's name."""
    for place, table in (((), wanted), *_profiles(wanted)):
        ours = table.get("converge")
        there = found
        for part in place:
            there = there.get(part, {})
        if isinstance(ours, Mapping) and "kubernetes" in ours:
            yield f"[{'.'.join((*place, 'converge', 'kubernetes'))}]\n"
            yield f"app_name = {json.dumps(ours['kubernetes']['app_name'])}\n"
        elif ours == {} and "converge" not in there:
            yield f"[{'.'.join((*place, 'converge'))}]\n"
        elif place and not table and place[-1] not in found.get("environments", {}):
            yield f"[{'.'.join(place)}]\n"


def _profiles(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    profiles = document.get("environments")
    for name, table in profiles.items() if isinstance(profiles, Mapping) else ():
        if isinstance(table, Mapping):
            yield ("environments", name), table


def _is_left_out(path: tuple[str, ...]) -> bool:
    match path:
        case ("converge", name, *_) | ("environments", _, "converge", name, *_):
            return name in _LEFT_OUT
        case _:
            return False


def _reduced(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same on the document, once it is read."""
    reduced = dict(document)
    if isinstance(ours := document.get("converge"), Mapping):
        kept: dict[str, Any] = {key: it for key, it in ours.items() if key not in _LEFT_OUT}
        kubernetes = ours.get("kubernetes")
        if isinstance(kubernetes, Mapping) and "app_name" in kubernetes:
            # Tokens are for it, where nothing else is said.
            kept["kubernetes"] = {"app_name": kubernetes["app_name"]}
        reduced["converge"] = kept
    if profiles := dict(_profiles(document)):
        reduced["environments"] = {name: _reduced(table) for (_, name), table in profiles.items()}
    return reduced
