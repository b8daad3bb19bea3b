"""What an app needs installed -> a folder with it, for another platform than this one if need be.

pip resolves and unpacks wheels, and nothing is run: neither a build nor a container. Versions come
from a lock beside the app, or else are those installed here. It changes when locks are written in
another form, or pip is asked for the same in another way.
"""

import codecs
import hashlib
import json
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, requires
from itertools import zip_longest
from pathlib import Path
from threading import Event
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from jac_converge.config.load import ConfigError, Problem
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image.programs import run_to_end

__all__ = ["Lock", "install", "lock_of"]

_SERVES_WITHOUT: Final = ("kubernetes", "packaging", "rich")
"""A pod serves; it needs no client of a cluster, builds no image, and draws no table."""

_PLATFORMS: Final = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}

_GLIBC: Final = range(17, 37)
"""Minor versions of glibc 2 whose wheels are taken: up to that of Debian 12."""

_NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*")

_WRONG = re.compile(r"^ +(\S+) from .*\(line (\d+)\)", re.MULTILINE)
"""What pip says of a package whose hash is not the one of the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What to install, and in which versions."""

    requirements: tuple[str, ...]
    pins: tuple[str, ...] = ()
    """Versions, should a requirement lead to them."""
    hashed: str = ""
    """A requirements.txt that has a hash for everything; then nothing else counts."""
    root: Path | None = None
    """Where paths of wheels begin: the folder of jac.toml."""
    wheels: tuple[str, ...] = ()
    """Digests of the wheels that lie there: the same name may stand for another one tomorrow."""

    def key(self, python: str, platform: str) -> str:
        """Name what is installed by this lock."""
        told = [self.requirements, self.pins, self.hashed, python, platform, sys.version]
        told += [self.wheels] if self.wheels else []
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def lock_of(root: Path, *, app: bool = True) -> Lock:
    """Find out what an app needs.

    Args:
        root: folder of jac.toml.
        app: False: only what `jac serve` itself needs.

    Raises:
        ConfigError: a file that says so cannot be read.
    """
    serving = _serving()
    if not app:
        return Lock(requirements=serving, pins=_pins(serving))
    written = root / "requirements.txt"
    text = _text(written) if written.is_file() else ""
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    theirs = [line for line in lines if line and not line.startswith("#")]
    if "--hash=" in text:
        return Lock(requirements=serving, hashed=text, root=root, wheels=_wheels(root, theirs))
    if option := next((line for line in theirs if line.startswith("-")), None):
        message = f"{option} is not understood here; list the packages, or lock them with hashes"
        raise ConfigError(Problem(file=str(written), line=None, key=None, message=message))
    _check_lines(theirs, written, [lines.index(line) + 1 for line in theirs])
    theirs += _in_toml(root / "pyproject.toml", ("project", "dependencies"))
    theirs += _in_toml(root / "jac.toml", ("dependencies",))
    wanted = (*serving, *dict.fromkeys(theirs))
    wheels = _wheels(root, theirs)
    return Lock(requirements=wanted, pins=_pins(wanted), root=root, wheels=wheels)


def _wheels(root: Path, lines: Iterable[str]) -> tuple[str, ...]:
    """What is in the wheels that lines name by their path."""
    files = (root / line.split()[0] for line in lines if line.split()[0].endswith(".whl"))
    return tuple(hashlib.sha256(it.read_bytes()).hexdigest() for it in files if it.is_file())


def _text(file: Path) -> str:
    """Read what an editor or a shell wrote: with a byte order mark, or in UTF-16, as PowerShell."""
    content = file.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeError as exc:
        message = f"is not UTF-8 ({exc}); save it as UTF-8"
        raise ConfigError(Problem(file=str(file), line=None, key=None, message=message)) from exc


def _serving() -> tuple[str, ...]:
    try:
        needed = requires("jac-converge") or []
    except PackageNotFoundError as exc:
        cause = "the distribution jac-converge is not installed here"
        raise Invalid("image build", cause, "install it with pip") from exc
    return tuple(line for line in needed if name_of(line) not in _SERVES_WITHOUT)


def _pins(requirements: Iterable[str]) -> tuple[str, ...]:
    """What requirements lead to here, as pins: the image runs what was tried.

    Not what is installed beside it: another linter makes no other image.
    """
    here = {canonicalize_name(found.name): found for found in distributions() if found.name}
    reached: set[tuple[NormalizedName, str]] = set()
    waiting = list(_extras(requirements, extra=""))
    while waiting:
        if (step := waiting.pop()) not in reached and step[0] in here:
            reached.add(step)
            name, extra = step
            waiting += _extras(here[name].requires or (), extra=extra)
    return tuple(f"{name}=={here[name].version}" for name in sorted({name for name, _ in reached}))


def _extras(requirements: Iterable[str], *, extra: str) -> Iterator[tuple[NormalizedName, str]]:
    """The packages of those requirements that count for extra, once for each extra of theirs."""
    for line in requirements:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:  # a path, or the address of a repository: pip decides
            continue
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            for theirs in ("", *sorted(wanted.extras)):
                yield canonicalize_name(wanted.name), theirs


def name_of(requirement: str) -> str:
    """The name of a package as indices spell it.

    >>> name_of("Jac_Lang>=0.16")
    'jac-lang'
    """
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else requirement


def _in_toml(file: Path, place: tuple[str, ...]) -> list[str]:
    """Requirements in a list (pyproject.toml), or name by name in a table (jac.toml)."""
    if not file.is_file():
        return []
    try:
        value: Any = tomllib.loads(_text(file))
    except ValueError as exc:
        message = f"is not TOML: {exc}; fix the syntax"
        raise ConfigError(Problem(file=str(file), line=None, key=None, message=message)) from exc
    for key in place:
        value = value.get(key, {}) if isinstance(value, dict) else {}
    if isinstance(value, list):
        found = [str(entry) for entry in value]
    else:
        found = [
            f"{name}{_specifier(version)}"
            for name, version in value.items()
            if isinstance(version, str) and name != "jac-converge"
        ]
    _check_lines(found, file)
    return found


def _check_lines(lines: Iterable[str], file: Path, numbers: Iterable[int] = ()) -> None:
    """Refuse, by its place, what no pip could read; it would name a copy of ours."""
    for line, number in zip_longest(lines, numbers):
        # The path of a wheel, the address of a repository, or options: pip decides.
        if line is None or re.search(r"[/\\]|\.whl$|\s--", line):
            continue
        try:
            Requirement(line)
        except InvalidRequirement as exc:
            message = f'"{line}" is no requirement; write such as NAME, NAME==1.2 or NAME>=1.2,<2'
            problem = Problem(file=str(file), line=number, key=None, message=message)
            raise ConfigError(problem) from exc


def _specifier(version: str) -> str:
    """A version of jac.toml's `[dependencies]` as pip spells it."""
    if version in ("", "*", "latest"):
        return ""
    return f"=={version}" if version[0].isdigit() else version


def install(lock: Lock, *, python: str, platform: str, target: Path, stop: Event) -> None:
    """Unpack everything into a folder.

    Args:
        lock: what.
        python: `3.12`.
        platform: `linux/amd64`.
        target: the folder, new.
        stop: ends it.

    Raises:
        Invalid: pip is missing, or fails; a lock with hashes leaves something out.
        Interrupted: we were told to end meanwhile.
    """
    if not (lock.requirements or lock.hashed):
        return
    with tempfile.TemporaryDirectory() as folder:
        wanted, pins = Path(folder, "requirements.txt"), Path(folder, "pins.txt")
        wanted.write_text(lock.hashed or "\n".join(lock.requirements), encoding="utf-8")
        pins.write_text("\n".join(lock.pins), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"),
            *("install", "--quiet", "--no-compile", "--only-binary=:all:", "--target", str(target)),
            *("--implementation", "cp", "--python-version", python, "--requirement", str(wanted)),
            *(argument for tag in _tags(platform) for argument in ("--platform", tag)),
            *(("--require-hashes",) if lock.hashed else ("--constraint", str(pins))),
        ]
        environ = os.environ | {"PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}
        subject = "image build: pip install"
        done = run_to_end(command, subject, stop=stop, folder=lock.root, environ=environ)
    if done.returncode:
        _complain(done.stderr or done.stdout, lock, python, platform)
    if lock.hashed:
        _check_complete(lock, target)


def _tags(platform: str) -> list[str]:
    machine = _PLATFORMS[platform]
    return [f"manylinux_2_{minor}_{machine}" for minor in reversed(_GLIBC)] + [
        f"manylinux2014_{machine}",
        *(
            ("manylinux1_x86_64", "manylinux_2_12_x86_64", "manylinux2010_x86_64")
            if machine == "x86_64"
            else ()
        ),
    ]


def _complain(said: str, lock: Lock, python: str, platform: str) -> None:
    if "No module named pip" in said:
        advice = "run `python -m ensurepip`, or name a finished image in [converge.kubernetes]"
        raise Invalid("image build", "pip is not installed here", advice)
    errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
    cause = "; ".join(line.removeprefix("ERROR: ") for line in errors[-2:]) or said[-300:]
    advice = f"there must be a wheel of each package for Python {python} on {platform}"
    if "No space left on device" in said:
        advice = f"make room in {tempfile.gettempdir()}, or name another folder in TMPDIR"
    elif lock.hashed and "hashes" in said.lower():
        # Lines of ours are those of the file.
        wrong = ", ".join(f"{found[1]} (line {found[2]})" for found in _WRONG.finditer(said))
        cause = f"requirements.txt: the hash of {wrong} is another one" if wrong else cause
        advice = "lock requirements.txt anew: pip-compile --generate-hashes"
    raise Invalid("image build: pip install", cause.strip(), advice)


def _check_complete(lock: Lock, target: Path) -> None:
    """A lock of the app's own needs alone makes an image that does not start."""
    there = {name_of(found.name) for found in distributions(path=[str(target)])}
    missing = [name for line in lock.requirements if (name := name_of(line)) not in there]
    # A marker may leave out what this platform has no use for; uvloop is the only one of ours.
    if gone := [name for name in missing if name != "uvloop"]:
        advice = "lock it together with jac-converge: pip-compile --generate-hashes"
        cause = f"requirements.txt has hashes, and leaves out {', '.join(gone)}"
        raise Invalid("image build", cause, advice)
