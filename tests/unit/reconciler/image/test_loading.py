"""An archive gets into a cluster by the cluster's tools, and nothing is left behind of it."""

import os
import re
import sys
from pathlib import Path
from threading import Event

import pytest

from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image import loading
from jac_converge.reconciler.image.destination import LocalCluster, local_cluster
from jac_converge.reconciler.image.loading import load_archive
from jac_converge.reconciler.platforms import Platform

MULTIPASS = """#!{python}
import os, shutil, sys
def inside(path):
    return {vm!r} + path
match sys.argv[1:]:
    case ["transfer", source, target]:
        shutil.copy(source, inside(target.removeprefix("microk8s-vm:")))
    case ["exec", "microk8s-vm", "--", "rm", "-f", path]:
        os.unlink(inside(path))
"""
MICROK8S = """#!{python}
import shutil, sys
if sys.argv[1:-1] != ["ctr", "image", "import"]:
    sys.exit("what?")
shutil.copy({vm!r} + sys.argv[-1], {loaded!r})
{more}
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that stands for the virtual machine of MicroK8s, and the way into it."""
    vm = tmp_path / "vm"
    (vm / "tmp").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    install(tmp_path, "multipass", MULTIPASS)
    return vm


def install(folder: Path, name: str, text: str, more: str = "") -> None:
    """Write a program that sees the files of the virtual machine alone."""
    program = folder / "bin" / name
    names = {"vm": str(folder / "vm"), "loaded": str(folder / "loaded"), "more": more}
    program.write_text(text.format(python=sys.executable, **names))
    program.chmod(0o755)


def microk8s() -> LocalCluster:
    """Describe MicroK8s as it is on macOS."""
    found = local_cluster(Platform(kind="microk8s", cluster="microk8s"), "darwin")
    assert found
    return found


def test_archive_reaches_a_cluster_in_a_virtual_machine(machine: Path, tmp_path: Path) -> None:
    """It is copied there, loaded from there, and removed from there."""
    install(tmp_path, "microk8s", MICROK8S)
    load_archive(microk8s(), "shop:1", lambda out: _write(out, "one"), stop=Event())
    assert "one" == (tmp_path / "loaded").read_text()
    assert [] == list((machine / "tmp").iterdir())


def test_archive_that_is_not_taken_is_removed_all_the_same(machine: Path, tmp_path: Path) -> None:
    """And what is told is why it was not taken."""
    install(tmp_path, "microk8s", MICROK8S, 'sys.exit("no space left on device")')
    with pytest.raises(Invalid, match="microk8s ended with 1: no space left on device"):
        load_archive(microk8s(), "shop:1", lambda out: _write(out, "one"), stop=Event())
    assert [] == list((machine / "tmp").iterdir())


def test_removal_that_hangs_is_given_up(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who pressed Ctrl-C waits for no virtual machine; what is left goes with its restart."""
    monkeypatch.setattr(loading, "_TIDYING", 0.5)
    caplog.set_level("DEBUG", logger=loading.__name__)
    install(tmp_path, "microk8s", MICROK8S)
    hangs = MULTIPASS.replace("os.unlink(inside(path))", "import time; time.sleep(600)")
    install(tmp_path, "multipass", hangs)
    load_archive(microk8s(), "shop:1", lambda out: _write(out, "one"), stop=Event())
    assert "shop:1 load failed (Invalid): multipass did not end within 0.5 s" in caplog.text
    assert len(list((machine / "tmp").iterdir())) == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("k3d", "[0003] failed to import images in node 'k3d-dev-server-0': no space"),
        ("minikube", 'W0810 cache_images.go:253] Failed to load cached images for "dev": no space'),
    ],
)
def test_node_that_takes_no_image_is_told(machine: Path, kind: str, said: str) -> None:
    """These tools log it, tell of their success afterwards, and end with 0."""
    text = (
        f"#!{sys.executable}\nimport sys\nprint({said!r}, file=sys.stderr)\nprint('Successfully')"
    )
    install(machine.parent, kind, text)
    local = local_cluster(Platform(kind=kind, cluster="dev"), "linux")
    assert local
    with pytest.raises(Invalid, match=re.escape(f"{kind}: {said}")):
        load_archive(local, "shop:1", lambda out: _write(out, "one"), stop=Event())


def _write(out: Path, text: str) -> None:
    out.write_text(text)
