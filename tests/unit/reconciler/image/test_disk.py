"""What a disk refuses, and what a crash left on it, is told by name or made anew."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jac_converge.config.load import ConfigError
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image.archive import write_archive
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.dependencies import lock_of
from jac_converge.reconciler.image.files import app_files, place
from tests.unit.reconciler.image.production_case import case_in

ROOM = 200_000
"""bytes; more than what anything else writes meanwhile."""


@contextmanager
def little_room() -> Iterator[None]:
    """Let the system refuse longer files, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_of_the_cache_is_named_and_nothing_stays(tmp_path: Path) -> None:
    """Whether a piece of a blob finds no room, or only its end when it is closed."""
    blobs = Blobs(tmp_path)
    for chunk in (2 * ROOM, 70_000):
        with (
            pytest.raises(
                Invalid, match=rf"{tmp_path}: File too large; make room there; {tmp_path}"
            ),
            little_room(),
        ):
            blobs.keep("sha256:0", [b"x" * chunk] * 3, subject="pull")
        assert [] == list((tmp_path / "blobs").iterdir())
    with pytest.raises(Invalid, match="make room there"), little_room():
        blobs.note("one", "x" * 2 * ROOM)
    assert ([], None) == (list((tmp_path / "notes").iterdir()), blobs.noted("one"))


def test_full_disk_while_an_image_is_loaded_is_named(tmp_path: Path) -> None:
    """The archive for the cluster's own tool needs room, too."""
    made, out = case_in(tmp_path).make(), tmp_path / "image.tar"
    with (
        pytest.raises(Invalid, match=rf"shop:1 load failed .*{out}: File too large; make room"),
        little_room(),
    ):
        write_archive(made.image, "shop:1", made.layer, out)


def test_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    """Notes without an end, manifests and layers that were cut short."""
    case = case_in(tmp_path)
    made = case.make()
    layer = made.image.layers[-1]
    for damaged in (case.blobs.path(layer.digest), case.blobs.path(made.image.digest)):
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:100])
        with pytest.raises(Invalid, match=f"delete {case.blobs.folder}"):
            case.blobs.sound(layer.digest, len(whole) + 1, "load")
        assert (made.image, whole) == (case.make().image, damaged.read_bytes())
    for text in (b"", b"[", b"7", b"[7, 7, 7]", b"\xff"):
        for note in (case.blobs.folder / "notes").iterdir():
            if "dependencies" not in note.name:
                note.write_bytes(text)
        assert made.image == case.make().image


def test_entry_whose_name_is_not_utf8_is_told(tmp_path: Path) -> None:
    """Layers have only names that are."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.txt")).write_text("")
    with pytest.raises(ConfigError, match=r"has an entry '\\udce9.txt', whose name is not UTF-8"):
        app_files(tmp_path)


def test_what_goes_away_meanwhile_is_not_there(tmp_path: Path) -> None:
    """Also a link that leads nowhere, or to itself."""
    (tmp_path / "gone.txt").symlink_to("nowhere")
    (tmp_path / "round.txt").symlink_to("round.txt")
    assert {} == app_files(tmp_path)
    assert {} == place({"gone.txt": tmp_path / "gone.txt"}, tmp_path / "copies")


def test_what_editors_leave_is_left_out(tmp_path: Path) -> None:
    """It comes and goes while somebody types, and is nothing of the app."""
    for name in ("app.jac", "4913", "app.jac~", ".app.jac.swp", "a.swp", ".#app.jac", "#app.jac#"):
        (tmp_path / name).write_text("")
    for name in ("new.tmp", ".hidden", "a.pyc"):
        (tmp_path / name).write_text("")
    assert ["app.jac"] == list(app_files(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The folder or file itself, none that only was looked for in it."""
    closed, file = tmp_path / "priv", tmp_path / "secret.txt"
    file.write_text("")
    file.chmod(0)
    with pytest.raises(Invalid, match=f"{file}: Permission denied; give the user"):
        place(app_files(tmp_path), tmp_path / "copies")
    for mode, named in ((0, closed), (0o600, closed / "inside")):
        closed.mkdir()
        (closed / "inside").write_text("")
        closed.chmod(mode)
        with pytest.raises(ConfigError, match=rf"{named}: cannot be read \(Permission denied\)"):
            app_files(tmp_path)
        closed.chmod(0o700)
        (closed / "inside").unlink()
        closed.rmdir()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_requirements_are_read_as_windows_writes_them(tmp_path: Path, encoding: str) -> None:
    """PowerShell writes UTF-16, and some editors a byte order mark."""
    (tmp_path / "requirements.txt").write_text("one==1\n# é\n", encoding=encoding)
    assert "one==1" == lock_of(tmp_path).requirements[-1]


def test_requirements_in_another_encoding_are_refused_by_name(tmp_path: Path) -> None:
    """Nobody could tell which one it is."""
    (tmp_path / "requirements.txt").write_text("one==1 # é\n", encoding="latin-1")
    with pytest.raises(ConfigError, match=r"requirements.txt: is not UTF-8 .*; save it as UTF-8"):
        lock_of(tmp_path)
