"""An image depends on what is in the files of an app, and on nothing else about them."""

import json
import os
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from jac_converge.reconciler.image.archive import read_layout, write_archive
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.builder import FORM, Recipe, build_app, build_image
from jac_converge.reconciler.image.dependencies import Lock
from jac_converge.reconciler.image.files import app_files, fingerprint
from jac_converge.reconciler.image.manifest import Image, image_from

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
ALWAYS_OTHER = Path("/proc/sys/kernel/random/uuid")


def base(python: str = HERE) -> Image:
    """Make an image without layers."""
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/usr/bin:/bin", f"PYTHON_VERSION={python}.1"]},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    return image_from(b'{"layers":[]}', json.dumps(config).encode(), "")


def write_app(folder: Path, report: int = 1) -> Path:
    """Write a small app, with what must not get into its image."""
    folder.mkdir(parents=True)
    (folder / "app.jac").write_text(
        f"walker hi {{ can go with Root entry {{ report {report}; }} }}"
    )
    (folder / "beside.py").write_text("NAMES = {'a', 'b', 'c'}\n")
    (folder / ".env").write_text("SECRET=1")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "beside.pyc").write_bytes(os.urandom(9))
    return folder


def recipe(folder: Path, python: str = HERE) -> Recipe:
    """Say how to build it, without dependencies."""
    return Recipe(
        files=app_files(folder),
        main="app.jac",
        lock=Lock(requirements=()),
        python=python,
        platform="linux/amd64",
        port=8000,
    )


def test_build_is_reproducible(tmp_path: Path) -> None:
    """Other folder, other times, other umask, nothing kept from before: the same digest."""
    first = write_app(tmp_path / "one")
    one, notes = build_image(base(), recipe(first), Blobs(tmp_path / "blobs"), stop=Event())
    before = os.umask(0o077)
    try:
        second = write_app(tmp_path / "another" / "two")
        for file in second.iterdir():
            os.utime(file, (1, 1))
        two, _ = build_image(base(), recipe(second), Blobs(tmp_path / "others"), stop=Event())
    finally:
        os.umask(before)
    assert ((), one.digest) == (notes, two.digest)
    third = write_app(tmp_path / "three", report=2)
    three, _ = build_image(base(), recipe(third), Blobs(tmp_path / "blobs"), stop=Event())
    # A change of the code is a new layer of the app, and no other one.
    same = [a == b for a, b in zip(one.layers, three.layers, strict=True)]
    assert [True, True, False] == same


@pytest.mark.skipif(not ALWAYS_OTHER.exists(), reason="a file of Linux")
def test_layer_is_kept_under_a_hash_of_what_is_in_it(tmp_path: Path) -> None:
    """Also of a file that is another one whenever it is read, as one that is being saved."""
    folder, blobs = write_app(tmp_path / "app"), Blobs(tmp_path / "blobs")
    (folder / "saved.txt").symlink_to(ALWAYS_OTHER)
    app = recipe(folder)
    layer, _ = build_app(app, blobs, stop=Event())
    with tarfile.open(blobs.path(layer.digest)) as tar:
        tar.extractall(tmp_path / "there", filter="data")
    packed = {name: tmp_path / "there/app" / name for name in app.files}
    key = f"{FORM}-app-{fingerprint(packed, HERE, '')}"
    assert blobs.noted(key) is not None
    assert 1 == len(list((blobs.folder / "notes").iterdir()))


def test_build_lays_out_what_a_pod_needs(tmp_path: Path) -> None:
    """The app, compiled for where it will lie, and nothing that is hidden."""
    blobs = Blobs(tmp_path / "blobs")
    image, _ = build_image(base(), recipe(write_app(tmp_path / "app")), blobs, stop=Event())
    version = f"cpython-{HERE.replace('.', '')}"
    with tarfile.open(blobs.path(image.layers[-1].digest)) as tar:
        names = {member.name for member in tar if member.isfile()}
    assert {
        "app/app.jac",
        "app/beside.py",
        f"app/__pycache__/beside.{version}.pyc",
        f"app/_precompiled/{version}/app.access.json",
        f"app/_precompiled/{version}/app.jir",
    } == names
    run = image.settings["config"]
    entrypoint = ["python3", "-P", "-m", "jac_converge", "serve", "/app/app.jac"]
    assert (entrypoint, "10001:10001", "/app") == (
        run["Entrypoint"],
        run["User"],
        run["WorkingDir"],
    )
    assert ["--host", "0.0.0.0", "--port", "8000"] == run["Cmd"]  # noqa: S104
    assert "PATH=/usr/bin:/bin" in run["Env"]


def test_build_says_why_there_is_no_bytecode(tmp_path: Path) -> None:
    """Of another Python than this one."""
    app = recipe(write_app(tmp_path / "app"), "3.99")
    _, notes = build_image(base("3.99"), app, Blobs(tmp_path / "blobs"), stop=Event())
    assert f"the image has Python 3.99, and this is {HERE}" in notes[0]


def test_build_tells_what_does_not_compile(tmp_path: Path) -> None:
    """By name; the rest of the app is compiled."""
    folder = write_app(tmp_path / "app")
    (folder / "broken.jac").write_text("walker {")
    _, notes = build_image(base(), recipe(folder), Blobs(tmp_path / "blobs"), stop=Event())
    assert ["not compiled ahead: broken.jac"] == [note[:30] for note in notes]


def test_archive_reads_back_what_was_written(tmp_path: Path) -> None:
    """As a tar and as a folder, without any blob from before."""
    blobs = Blobs(tmp_path / "blobs")
    image, _ = build_image(base(), recipe(write_app(tmp_path / "app")), blobs, stop=Event())
    out = tmp_path / "image.tar"
    write_archive(image, "example/app:1", lambda layer: blobs.path(layer.digest), out)
    with tarfile.open(out) as tar:
        tar.extractall(tmp_path / "layout", filter="data")
    for path in (out, tmp_path / "layout"):
        fresh = Blobs(tmp_path / f"fresh-{path.name}")
        read = read_layout(path, "linux/amd64", fresh)
        assert replace(image) == read
        assert all(fresh.path(layer.digest).exists() for layer in read.layers)
