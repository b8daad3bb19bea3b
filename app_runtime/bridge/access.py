"""Which walkers and functions of a module the public may call.

The classes do not say; the compiler's table does, and the bytecode cache carries it. It changes
when jaclang keeps that table elsewhere.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from jaclang.jac0core import jir
from jaclang.jac0core.runtime import JacRuntime

__all__ = ["AccessTable", "access_table", "write_table"]

type _Table = dict[str, dict[str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTable:
    """The names that need no token; everything else does."""

    walkers: frozenset[str]
    functions: frozenset[str]


def access_table(file: Path) -> AccessTable:
    """Read the table of one .jac file that has been imported.

    From its bytecode cache, or what an image has beside its bytecode, where that is valid, so that
    a warm start needs no compiler; else from the module that this process compiled.
    """
    table = _from_cache(str(file)) or _from_bundle(file) or _from_compiler(file)
    return AccessTable(
        walkers=_public(table.get("walker_access", {})),
        functions=_public(table.get("func_access", {})),
    )


def _public(needs_token: dict[str, bool]) -> frozenset[str]:
    return frozenset(name for name, needed in needs_token.items() if not needed)


def write_table(file: Path, compiled: Path, key: str) -> None:
    """Keep the table of a module that this process compiled, beside its bytecode.

    Args:
        file: the source.
        compiled: the bytecode.
        key: of both, by their content.
    """
    compiled.with_suffix(_SUFFIX).write_text(json.dumps({"key": key, **_from_compiler(file)}))


_SUFFIX = ".access.json"


def _from_compiler(file: Path) -> _Table:
    program = JacRuntime.get_program()
    module = program.find_module(str(file)) or program.compile(str(file))
    manifest = module.gen.interop_manifest
    return {"walker_access": manifest.walker_access, "func_access": manifest.func_access}


def _from_bundle(file: Path) -> _Table | None:
    """What lies in `_precompiled/` in one of the folders above, as jaclang looks for bytecode."""
    version = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    for folder in file.parents:
        bundle = folder / "_precompiled" / version
        kept = (bundle / file.relative_to(folder)).with_suffix(_SUFFIX)
        try:
            table = json.loads(kept.read_text())
        except OSError:
            continue
        return table if table.pop("key") == jir.compute_module_key(str(file)) else None
    return None


def _from_cache(file: str) -> _Table | None:
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
