"""The images of a node, made of Debian's packages, our Go programs and this machine's Python.

No registry is asked: what apps are built on, Redis and the server of MongoDB's protocol are made
here, as is what the node itself runs in pods. It changes with what is in one of them.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import build, build_node, oci

__all__ = ["BASE", "IMAGES", "MONGODB", "REDIS", "archives", "base", "make_images"]

REDIS, MONGODB = "localhost/redis:1", "localhost/mongowire:1"
BASE = "base"
SYSTEM = (
    *("libc6", "libgcc-s1", "libcrypt1", "zlib1g", "libssl3", "netbase", "tzdata"),
    *("libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0", "libreadline8", "libtinfo6"),
    *("libncursesw6", "libuuid1", "libexpat1"),
)
OF_REDIS = (
    *("redis-server", "redis-tools", "libatomic1", "liblzf1", "libjemalloc2", "libsystemd0"),
    *("libstdc++6", "libcap2", "libgcrypt20", "libzstd1", "liblz4-1", "libgpg-error0"),
)
LEFT_OUT = shutil.ignore_patterns(
    *("__pycache__", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"),
    *("site-packages", "dist-packages", "config-3*", "*.a"),
)
PATH = "PATH=/usr/local/bin:/usr/bin:/bin"
NAMES = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
SHELL = ("sh", "mkdir", "rm", "sleep", "cat", "ls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one image is made."""

    name: str
    layers: tuple[Callable[[Path], None], ...]
    """Each fills a folder."""
    settings: dict[str, Any]


def archives() -> dict[str, Path]:
    """Return the archive of each image of a node, by the image's name.

    Raises:
        ServerMissing: they are not made.
    """
    folder = _folder()
    if not folder.exists():
        raise build.ServerMissing(f"the images of a node are not made; {build_node.HINT}")
    return {recipe.name: folder / f"{file}.tar" for file, recipe in IMAGES.items() if file != BASE}


def base() -> Path:
    """Return the archive that images of apps are built on.

    Raises:
        ServerMissing: it is not made.
    """
    archives()
    return _folder() / f"{BASE}.tar"


def make_images() -> Path:
    """Make them all, unless they are there."""
    folder = _folder()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    build.run(["apt-get", "update"])
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as directory:
        made: dict[Callable[[Path], None], Path] = {}
        out = Path(directory, "out")
        out.mkdir()
        for file, recipe in IMAGES.items():
            build.say(f"making the image {recipe.name} ...")
            for fill in recipe.layers:
                if fill not in made:
                    stage = Path(directory, f"layer-{len(made)}")
                    stage.mkdir()
                    fill(stage)
                    made[fill] = oci.layer_of(stage, stage.with_suffix(".tar"))
            layers = [made[fill] for fill in recipe.layers]
            oci.write_image(out / f"{file}.tar", recipe.name, layers, recipe.settings)
        out.rename(folder)
    return folder


def _folder() -> Path:
    """Name what the images are made from."""
    key = hashlib.sha256(Path(__file__).read_bytes() + sys.version.encode())
    for part in (*build_node.PARTS, "mongowire"):
        key.update(str(build.built(part)).encode())
    return build.cache() / "node-images" / key.hexdigest()[:16]


def _unpack(packages: Iterable[str], folder: Path) -> None:
    """Fetch packages of Debian, and unpack them without installing them."""
    with tempfile.TemporaryDirectory() as fetched:
        build.run(["apt-get", "download", "--quiet", *packages], cwd=Path(fetched))
        for file in sorted(Path(fetched).glob("*.deb")):
            build.run(["dpkg-deb", "--extract", str(file), str(folder)])
    for needless in ("usr/share/doc", "usr/share/man", "usr/share/lintian", "var", "lib/systemd"):
        shutil.rmtree(folder / needless, ignore_errors=True)


def _shell(folder: Path) -> None:
    _unpack(["busybox-static"], folder)
    for tool in SHELL:
        (folder / "bin" / tool).symlink_to("busybox")


def _system(folder: Path) -> None:
    _unpack(SYSTEM, folder)
    for name in ("tmp", "proc", "sys", "dev", "run", "usr/local/bin"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    for name, text in NAMES.items():
        (folder / "etc" / name).write_text(text)


def _redis(folder: Path) -> None:
    _unpack(OF_REDIS, folder)


def _python(folder: Path) -> None:
    """Take this machine's Python, compiled, for nobody can write beside it in a pod."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    stdlib = folder / "usr/local/lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), stdlib, ignore=LEFT_OUT, symlinks=True)
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob(f"lib{version}*.so*"):
        (folder / "usr/lib").mkdir(exist_ok=True)
        shutil.copy(shared, folder / "usr/lib", follow_symlinks=False)
    programs = folder / "usr/local/bin"
    programs.mkdir()
    python = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    shutil.copy(python, programs / version)
    (programs / "python3").symlink_to(version)
    command = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    # What is no Python any more, in some test of a library, is left as it is.
    subprocess.run([*command, "-s", folder, "-p", "/", stdlib], check=False)


def _program(name: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        shutil.copy(build.built(name), folder / name)

    return fill


IMAGES = {
    # Nothing but a process: each container has process numbers of its own.
    "pause": Recipe(
        name="localhost/pause:1",
        layers=(_shell,),
        settings={"Entrypoint": ["/bin/sleep", "2147483647"]},
    ),
    "coredns": Recipe(
        name="localhost/coredns:1",
        layers=(_program("coredns"),),
        settings={"Entrypoint": ["/coredns"]},
    ),
    "local-path-provisioner": Recipe(
        name="localhost/local-path-provisioner:1",
        layers=(_program("local-path-provisioner"),),
        settings={"Entrypoint": ["/local-path-provisioner"]},
    ),
    "metrics-server": Recipe(
        name="localhost/metrics-server:1",
        layers=(_program("metrics-server"),),
        settings={"Entrypoint": ["/metrics-server"]},
    ),
    "redis": Recipe(name=REDIS, layers=(_system, _redis), settings={"Env": [PATH]}),
    # Arguments are those of MongoDB, which it has not.
    "mongowire": Recipe(
        name=MONGODB,
        layers=(_shell, _program("mongowire")),
        settings={
            "Entrypoint": ["/bin/sh", "-c", "exec /mongowire 0.0.0.0:27017 /data/db", "mongowire"]
        },
    ),
    BASE: Recipe(
        name="localhost/python:1",
        layers=(_shell, _system, _python),
        settings={"Env": [PATH, f"PYTHON_VERSION={platform.python_version()}"]},
    ),
}
