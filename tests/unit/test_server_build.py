"""Where the test servers' programs come from."""

import shutil
from pathlib import Path

import pytest

from tests.servers import build


@pytest.fixture(autouse=True)
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a machine without Go, without Redis, with nothing built."""
    for name in ("KUBEBUILDER_ASSETS", "JAC_CONVERGE_MONGOWIRE", "JAC_CONVERGE_REDIS_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    return tmp_path


def program(path: Path, text: str = "exit 0") -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_component_is_missing_when_nothing_is_built() -> None:
    """The reason says what to run."""
    with pytest.raises(build.ServerMissing, match=r"no Go >= 1\.26; run `python tests/servers"):
        build.component("etcd")


def test_component_comes_from_the_build(empty_machine: Path) -> None:
    """What this Go made of these sources is one program with the part's name as its argument."""
    go = program(empty_machine / "bin" / "go", "echo go1.26.8")
    built = program(build._destination(go, "controlplane"))

    assert [str(built), "etcd"] == build.component("etcd")


def test_component_is_missing_when_go_changed(empty_machine: Path) -> None:
    """Another Go is another build."""
    go = program(empty_machine / "bin" / "go", "echo go1.26.8")
    program(build._destination(go, "controlplane"))
    program(go, "echo go1.26.9")

    with pytest.raises(build.ServerMissing, match="controlplane is not built"):
        build.component("etcd")


@pytest.mark.parametrize(
    ("changed", "rebuilt"),
    [
        pytest.param("mongowire/main.go", {"mongowire"}, id="one-program"),
        pytest.param("go.mod", {"controlplane", "mongowire"}, id="what-both-are-made-of"),
        pytest.param("go.sum", {"controlplane", "mongowire"}, id="checksums"),
        pytest.param("controlplane/more.go", {"controlplane"}, id="a-new-file"),
        pytest.param("node/go.mod", set(), id="a-part-of-a-node"),
    ],
)
def test_program_is_built_anew_only_when_its_own_sources_changed(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch, changed: str, rebuilt: set[str]
) -> None:
    """The control plane takes minutes; a change of the other program must not cost them."""
    sources = empty_machine / "sources"
    shutil.copytree(build.SOURCES, sources)
    monkeypatch.setattr(build, "SOURCES", sources)
    go = program(empty_machine / "bin" / "go", "echo go1.26.8")
    before = {name: build._destination(go, name) for name in build.PROGRAMS}

    with (sources / changed).open("a") as file:
        file.write("\n")

    assert rebuilt == {n for n, path in before.items() if path != build._destination(go, n)}


def test_component_ignores_an_old_go(empty_machine: Path) -> None:
    """A distribution's Go of years ago counts as none."""
    program(empty_machine / "bin" / "go", "echo go1.19.8")

    with pytest.raises(build.ServerMissing, match="no Go >= 1"):
        build.component("etcd")


def test_component_comes_from_kubebuilder_assets(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's own binaries win; one that is not among them is missing by name."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(empty_machine))
    etcd = program(empty_machine / "etcd")

    assert [str(etcd)] == build.component("etcd")
    with pytest.raises(build.ServerMissing, match=r"KUBEBUILDER_ASSETS names .*/kube-scheduler"):
        build.component("kube-scheduler")


def test_store_servers_come_from_the_environment(
    empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have a variable of their own."""
    mongo, redis = program(empty_machine / "mongo"), program(empty_machine / "redis")
    monkeypatch.setenv("JAC_CONVERGE_MONGOWIRE", str(mongo))
    monkeypatch.setenv("JAC_CONVERGE_REDIS_SERVER", str(redis))

    assert (mongo, redis) == (build.mongowire(), build.redis_server())


def test_redis_comes_from_the_path_and_then_from_the_cache(empty_machine: Path) -> None:
    """One that is installed wins over the fetched one."""
    fetched = program(build.fetched_redis())
    first = build.redis_server()
    installed = program(empty_machine / "bin" / "redis-server")

    assert (fetched, installed) == (first, build.redis_server())


def test_redis_is_missing_when_there_is_none() -> None:
    """The reason says what to do."""
    with pytest.raises(build.ServerMissing, match="no redis-server on PATH; install it, or run"):
        build.redis_server()
