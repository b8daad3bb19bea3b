"""Compile jaclang's own compiler for an image: `python -m ... PACKAGES FINAL CACHE`.

What jaclang transpiles of itself at each import is done here once, under the names by which
`built.py` has it found. It changes with the runtime line below it.

Source: jaclang 0.16, meta_importer.py and jac0.py.
"""

import hashlib
import importlib.util
import json
import marshal
import sys
from pathlib import Path

from jac_converge.app_runtime.bridge.built import MAGIC, MARK, PLACE

__all__ = ["compile_ahead"]


def compile_ahead(packages: Path, final: str, cache: Path) -> None:
    """Compile what jaclang transpiles at each import.

    Args:
        packages: a folder with jaclang in it.
        final: where that folder will lie.
        cache: what will be the folder of caches there.
    """
    source = packages / "jaclang" / "jac0.py"
    spec = importlib.util.spec_from_file_location("jac0_of_an_image", source)
    if spec is None or spec.loader is None or not source.is_file():
        return
    jac0 = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = jac0
    spec.loader.exec_module(jac0)
    transpiler = hashlib.sha256(source.read_bytes()).digest()
    out = cache / PLACE
    out.mkdir(parents=True)
    for file in sorted((packages / "jaclang" / "jac0core").rglob("*.jac")):
        if file.name.endswith((".impl.jac", ".test.jac")) or not file.is_file():
            continue
        there = f"{final}/{file.relative_to(packages).as_posix()}"
        text = file.read_text(encoding="utf-8")
        annexes = [
            (Path(name).read_text(encoding="utf-8"), name.replace(str(packages), final, 1))
            for name in jac0.discover_impl_files(str(file))
        ]
        seen = hashlib.sha256(sys.version.encode() + transpiler + text.encode())
        for annex, place in annexes:
            seen.update(place.encode())
            seen.update(annex.encode())
        try:
            written = jac0.compile_jac(text, there, impl_sources=annexes or None)
            code = compile(written, there, "exec")
        except Exception:  # noqa: BLE001, S112 - not all of them are for this transpiler
            continue
        (out / f"{file.stem}.{seen.hexdigest()[:16]}.jbc").write_bytes(marshal.dumps(code))
    told = {"version": sys.version, "magic": MAGIC}
    (out / MARK).write_text(json.dumps(told))


if __name__ == "__main__":
    compile_ahead(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
