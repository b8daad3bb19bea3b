"""Compile every Jac module below a folder, for a place where it will lie: `python -m ... FOLDER`.

jaclang 0.16 looks for `_precompiled/cpython-3NN/` in the folders above a module, and trusts what is
there by a hash of the sources: neither path nor time matters. Standard output: one line for each
module that could not be compiled. It changes with the runtime line below it.

Source: jaclang 0.16, utils/precompile_bytecode.jac.
"""

import marshal
import os
import sys
from pathlib import Path

os.environ["JAC_TOPOLOGY_INDEX"] = "0"

from jaclang.jac0core.compiler import patch_co_filenames_bytes
from jaclang.jac0core.jir import (
    FLAG_PRECOMPILED,
    PRECOMPILE_SENTINEL,
    compute_module_key,
    write_precompiled_jir,
)
from jaclang.jac0core.runtime import JacRuntime as Jac

from jac_converge.app_runtime.bridge.access import write_table

__all__ = ["precompile"]

_ANNEXES = (".impl", ".test")
"""Parts of the module beside them, not modules."""


def precompile(folder: Path) -> list[str]:
    """Compile what lies in a folder, and write the result into it.

    Returns:
        What could not be compiled, and why; it is compiled when it is imported.
    """
    version = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    failed = []
    for source in sorted(folder.rglob("*.jac")):
        inside = source.relative_to(folder)
        if (
            source.is_dir()
            or Path(source.stem).suffix in _ANNEXES
            or "_precompiled" in inside.parts
        ):
            continue
        try:
            code = Jac.get_compiler().get_bytecode(str(source), Jac.get_program())
        except Exception as error:  # noqa: BLE001 - whatever a compiler says of a user's code
            failed.append(f"{inside.as_posix()}: {type(error).__name__}: {error}")
            continue
        if code is None:
            failed.append(f"{inside.as_posix()}: it does not compile")
            continue
        portable = patch_co_filenames_bytes(marshal.dumps(code), str(folder), PRECOMPILE_SENTINEL)
        compiled = folder / "_precompiled" / version / inside.with_suffix(".jir")
        compiled.parent.mkdir(parents=True, exist_ok=True)
        key = compute_module_key(str(source))
        compiled.write_bytes(write_precompiled_jir(portable, key, FLAG_PRECOMPILED))
        write_table(source, compiled, key)
    return failed


if __name__ == "__main__":
    for line in precompile(Path(sys.argv[1])):
        sys.stdout.write(f"{' '.join(line.split())}\n")
