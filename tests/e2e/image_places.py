"""A base image without any registry, an app to build on it, and tools that load images."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.scale_command import Done, run_scale
from tests.servers import build
from tests.servers.oci import write_image

__all__ = ["FIRST", "Shop", "install_tool", "renamed_context", "write_base", "write_code"]

FIRST = 420.0
"""Seconds for a run that has to install and compile the dependencies."""

_TOOL = """#!{python}
import json, os, shutil, sys
folder = os.path.dirname(__file__)
archive = next((word for word in sys.argv if word.endswith(".tar")), None)
with open(os.path.join(folder, "calls.jsonl"), "a") as calls:
    calls.write(json.dumps([os.path.basename(__file__), *sys.argv[1:]]) + "\\n")
{body}
"""
LOADS = """
if archive:
    import tarfile
    with tarfile.open(archive) as tar:
        there = set(tar.getnames())
        (image,) = json.load(tar.extractfile("manifest.json"))
    memory = os.path.join(folder, "layers.json")
    there.update(json.load(open(memory)) if os.path.exists(memory) else [])
    if missing := [layer for layer in image["Layers"] if layer not in there]:
        sys.exit(f"ctr: content digest sha256:{missing[0].rpartition('/')[2]}: not found")
    with open(memory, "w") as kept:
        json.dump([*there], kept)
    shutil.copy(archive, os.path.join(folder, "loaded.tar"))
"""
"""As `ctr image import` does it: what is missing in the archive has to be there from before."""
FAILS = """
sys.exit("ERROR: no nodes found")
"""
HANGS = """
import time
with open(os.path.join(folder, "pid"), "w") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(600)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """An app that names no image."""

    file: Path
    kubeconfig: Path
    env: Mapping[str, str]

    def scale(self, *flags: str, timeout: float = FIRST) -> Done:
        """Run the command on it."""
        return run_scale(
            self.file, *flags, kubeconfig=self.kubeconfig, env=self.env, timeout=timeout
        )


def cache() -> dict[str, str]:
    """What makes a command keep what it built for the next test, and for the next run of them."""
    return {"XDG_CACHE_HOME": str(build.cache() / "of-tests")}


def write_code(folder: Path, report: str) -> Path:
    """Write an app that says something, as an editor does."""
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "shop.jac.new"
    new.write_text(f'walker hi {{ can go with Root entry {{ report "{report}"; }} }}\n')
    new.replace(folder / "shop.jac")
    return folder / "shop.jac"


def write_base(folder: Path) -> Path:
    """Write the archive of an image with nothing in it but the word that it has this Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    out = folder / "base.tar"
    settings = {"Env": ["PATH=/usr/bin:/bin", f"PYTHON_VERSION={version}"]}
    # Nothing is in it, so it fits everywhere.
    write_image(out, "base:1", [], settings, architecture="")
    return out


def install_tool(folder: Path, name: str, body: str = LOADS) -> dict[str, str]:
    """Install a program that writes down its calls, and keeps the archive; returns its PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(_TOOL.format(python=sys.executable, body=body))
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def renamed_context(kubeconfig: Path, name: str, folder: Path) -> Path:
    """Copy a kubeconfig whose context and cluster have another name."""
    config = json.loads(kubeconfig.read_text())
    (context,) = (it for it in config["contexts"] if it["name"] == config["current-context"])
    for cluster in config["clusters"]:
        if cluster["name"] == context["context"]["cluster"]:
            cluster["name"] = name
    context["context"]["cluster"] = context["name"] = config["current-context"] = name
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return file
