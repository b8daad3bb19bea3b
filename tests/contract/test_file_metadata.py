"""What is said about files, on a disk and in a bucket of a real S3; and who dies in the middle."""

import io
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jac_converge.app_runtime.files import BadMetadata, Blobs, NoSuchFile
from jac_converge.app_runtime.files.disk import DiskFiles
from jac_converge.app_runtime.files.metadata import checked_metadata, kind_of
from jac_converge.app_runtime.files.s3 import S3Files
from jac_converge.app_runtime.files.sidecars import ABOUT, FORGOTTEN
from jac_converge.config.storage import StorageSettings

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

SAID = {"content_type": "image/x-own; q=1", "taken_by": "Zoë  Müller\n%20", "taken-in": " Rome "}
WRITERS, ROUNDS = 4, 12


@pytest.fixture(params=["disk", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Give an empty storage."""
    if request.param == "disk":
        return DiskFiles(tmp_path)
    server: S3Server = request.getfixturevalue("s3_server")
    settings = server.new_bucket(f"test-{secrets.token_hex(4)}")
    return S3Files(StorageSettings.model_validate(settings))


def put(blobs: Blobs, key: str, content: bytes, metadata: Mapping[str, str]) -> None:
    """Write a file of which something is said."""
    said = checked_metadata(dict(metadata))
    blobs.write(key, io.BytesIO(content), metadata=said, go_on=lambda: None)


def seen(blobs: Blobs, key: str) -> tuple[bytes, Mapping[str, str]]:
    """Read a file, and what is said about it."""
    with closing(blobs.open(key)) as reading:
        return b"".join(reading.pieces()), reading.info.metadata


def said_of(blobs: Blobs, key: str) -> Mapping[str, str]:
    """Tell what is said about a file, without a look into it."""
    found = blobs.info(key)
    assert found is not None
    return found.metadata


def test_what_is_said_comes_back(blobs: Blobs) -> None:
    """As it was said, and goes with what it is about."""
    put(blobs, "storage/a", b"one", SAID)
    assert (b"one", SAID) == seen(blobs, "storage/a")
    assert SAID == said_of(blobs, "storage/a")
    assert blobs.copy("storage/a", "storage/folder/copy")
    assert blobs.move("storage/a", "storage/folder/moved")
    for name in ("copy", "moved"):
        assert (b"one", SAID) == seen(blobs, f"storage/folder/{name}")
    put(blobs, "storage/a", b"two", {})
    assert {} == said_of(blobs, "storage/a")
    put(blobs, "storage/folder/copy", b"three", {"by": "Ann"})
    assert {"by": "Ann"} == said_of(blobs, "storage/folder/copy")
    names = ["storage/a", "storage/folder/copy", "storage/folder/moved"]
    assert names == list(blobs.names("storage", recursive=True))
    assert blobs.remove("storage/folder/moved")
    put(blobs, "storage/folder/moved", b"one", {})
    assert {} == said_of(blobs, "storage/folder/moved")


def test_many_writers_of_one_file_mix_nothing(blobs: Blobs) -> None:
    """Whoever reads has the content of one of them, and what that one said."""
    put(blobs, "storage/a", b"0", {"by": "0"})

    def write(writer: int) -> None:
        for number in range(ROUNDS):
            name = f"{writer}{number:03}"
            put(blobs, "storage/a", name.encode(), {"by": name})

    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(write, one) for one in range(1, WRITERS + 1)]
        while not all(one.done() for one in writing):
            try:
                content, metadata = seen(blobs, "storage/a")
            except NoSuchFile:  # in a bucket: replaced between its head and its body
                continue
            assert {"by": content.decode()} == metadata
    for one in writing:
        one.result()


def test_file_is_removed_while_it_is_read(blobs: Blobs) -> None:
    """Who reads has all of it, or is told."""
    content = os.urandom(600_000)
    put(blobs, "storage/a", content, SAID)
    with closing(blobs.open("storage/a")) as reading:
        pieces = reading.pieces()
        begun = next(pieces)
        assert blobs.remove("storage/a")
        assert content == begun + b"".join(pieces)
    assert blobs.info("storage/a") is None


DYING = """
import io, itertools, json, os, sys
from pathlib import Path
from jac_converge.app_runtime.files.disk import DiskFiles

def put(files, key, text):
    files.write(key, io.BytesIO(text.encode()), metadata={"by": text}, go_on=lambda: None)

def dying(call, made):
    def instead(*args, **named):
        made.append(None)
        if len(made) == calls:
            os._exit(9)
        return call(*args, **named)
    return instead

def seen(files):
    for key in files.names("storage", recursive=True):
        reading = files.open(key)
        yield key[-1], b"".join(reading.pieces()).decode() + reading.info.metadata.get("by", "")
        reading.close()

VERBS = {
    "write": lambda files: put(files, "storage/f/a", "new"),
    "move": lambda files: files.move("storage/f/b", "storage/f/a"),
    "remove": lambda files: files.remove("storage/f/a"),
    "clear": lambda files: files.remove("storage/f"),
}
CALLS = ("fsync", "mkdir", "open", "rename", "replace", "rmdir", "stat", "unlink", "utime")

for calls in itertools.count(1):
    files = DiskFiles(Path(sys.argv[1], str(calls)))
    put(files, "storage/f/a", "old")
    put(files, "storage/f/b", "new")
    if (child := os.fork()) == 0:
        made = []
        for name in CALLS:
            setattr(os, name, dying(getattr(os, name), made))
        VERBS[sys.argv[2]](files)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([ended, dict(seen(files))]))
    if ended != 9:
        break
"""
BEFORE = {"a": "oldold", "b": "newnew"}


@pytest.mark.parametrize(
    ("verb", "after"),
    [
        ("write", {"a": "newnew", "b": "newnew"}),
        ("move", {"a": "newnew"}),
        ("remove", {"b": "newnew"}),
        ("clear", {}),
    ],
)
def test_who_dies_leaves_what_was_or_what_is(
    tmp_path: Path, verb: str, after: dict[str, str]
) -> None:
    """Before whichever call to the system it dies; all of it changes at once."""
    command = [sys.executable, "-c", DYING, str(tmp_path), verb]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    *killed, last = map(json.loads, ran.stdout.splitlines())
    assert [0, after] == last
    assert {9} == {ended for ended, _ in killed}
    changed = [found == after for _, found in killed]
    assert all(found in (BEFORE, after) for _, found in killed)
    assert sorted(changed) == changed, "what was there came back"
    assert {True, False} == set(changed)


def test_folder_is_removed_while_others_write_to_it(tmp_path: Path) -> None:
    """Nobody is told that something failed: each file was there before or is there after."""
    files = DiskFiles(tmp_path)

    def write(writer: int) -> None:
        for _ in range(ROUNDS * 2):
            put(files, f"storage/f/{writer}", b"x", {"by": "me"})

    with ThreadPoolExecutor(WRITERS + 2) as pool:
        writing = [pool.submit(write, one) for one in range(WRITERS)]

        def clear() -> None:
            while not all(one.done() for one in writing):
                files.remove("storage/f")

        clearing = [pool.submit(clear) for _ in range(2)]
    for one in (*writing, *clearing):
        one.result()
    for name in files.names("storage/f", recursive=True):
        assert {"by": "me"} == said_of(files, name)


def test_what_a_killed_writer_said_goes_a_day_later(tmp_path: Path) -> None:
    """What is said about content that is there stays, however old."""
    put(DiskFiles(tmp_path), "storage/a", b"a", SAID)
    about = tmp_path / "storage" / ABOUT
    (about / "a~0-1").write_text("{}")
    (about / "b~0-1").write_text("{}")
    (about / "c~0-1").write_text("{}")
    for file in about.iterdir():
        if file.name != "c~0-1":
            moment = file.stat().st_mtime - FORGOTTEN - 60
            os.utime(file, (moment, moment))
    put(DiskFiles(tmp_path), "storage/d", b"d", {"by": "d"})
    assert {"a", "c", "d"} == {file.name.partition("~")[0] for file in about.iterdir()}
    assert SAID == said_of(DiskFiles(tmp_path), "storage/a")


def test_file_of_somebody_else_has_none(tmp_path: Path) -> None:
    """Nor one that was changed in its place, or of which what is said cannot be read."""
    put(DiskFiles(tmp_path), "storage/a", b"a", SAID)
    (tmp_path / "storage" / "a").write_bytes(b"edited")
    assert (b"edited", {}) == seen(DiskFiles(tmp_path), "storage/a")
    put(DiskFiles(tmp_path), "storage/b", b"b", SAID)
    for file in (tmp_path / "storage" / ABOUT).glob("b~*"):
        file.write_text("[1, 2]")
    assert (b"b", {}) == seen(DiskFiles(tmp_path), "storage/b")


@pytest.mark.parametrize(
    "wrong",
    [
        {"a b": "c"},
        {"ä": "c"},
        {"": "c"},
        {7: "c"},
        {"a": 7},
        {"a": ""},
        {"a": "x" * 2048},
        {"a": "ö" * 400},
        {"a": "\ud800"},
        {"content_type": "html"},
        {"content_type": "text/html\r\nX: y"},
    ],
)
def test_what_cannot_be_kept_is_refused(wrong: dict[object, object]) -> None:
    """Alike wherever files are."""
    with pytest.raises(BadMetadata, match=r"metadata|content_type"):
        checked_metadata(wrong)


def test_name_tells_the_kind_where_nobody_does() -> None:
    """And where somebody said what is none."""
    assert "image/png" == kind_of("a.png", {})
    assert "text/x-own" == kind_of("a.png", {"content_type": "text/x-own"})
    assert "image/png" == kind_of("a.png", {"content_type": "text/html\r\nX: y"})
