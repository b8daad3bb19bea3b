"""Which walkers and functions of a module the public may call.

The classes do not say; the compiler's table does, and the bytecode cache carries it. It changes
when jaclang keeps that table elsewhere.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from jaclang.jac0core import jir
from jaclang.jac0core.runtime import JacRuntime

__all__ = ["AccessTable", "access_table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTable:
    """The names that need no token; everything else does."""

    walkers: frozenset[str]
    functions: frozenset[str]


def access_table(file: Path) -> AccessTable:
    """Read the table of one .jac file that has been imported.

    From its bytecode cache, where that is valid, so that a warm start needs no compiler; else, in
    a read-only folder, from the module that this process compiled.
    """
    table = _from_cache(str(file))
    if table is None:
        program = JacRuntime.get_program()
        module = program.find_module(str(file)) or program.compile(str(file))
        manifest = module.gen.interop_manifest
        table = {"walker_access": manifest.walker_access, "func_access": manifest.func_access}
    return AccessTable(
        walkers=_public(table.get("walker_access", {})),
        functions=_public(table.get("func_access", {})),
    )


def _public(needs_token: dict[str, bool]) -> frozenset[str]:
    return frozenset(name for name, needed in needs_token.items() if not needed)


def _from_cache(file: str) -> dict[str, dict[str, bool]] | None:
    cache = jir.get_module_cache_path(file)
    try:
        if not jir.is_module_cache_valid(file, cache):
            return None
        raw = cache.read_bytes()
    except OSError:
        return None
    start = raw.find(jir.SECTIONS_MAGIC, jir.HEADER_SIZE)
    if start < 0:
        return None
    section = jir.read_sections(raw, start + len(jir.SECTIONS_MAGIC)).get(jir.SEC_INTEROP)
    return None if section is None else dict(json.loads(bytes(section)))
