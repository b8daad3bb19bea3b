"""Files, alike on a disk and in a bucket of a real S3."""

import io
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import urllib3

from jac_converge.app_runtime.files import BadKey, Blobs, FilesDown, NoSuchFile
from jac_converge.app_runtime.files.disk import GONE, PARTS, DiskFiles
from jac_converge.app_runtime.files.s3 import PART, S3Files
from jac_converge.app_runtime.files.sidecars import FORGOTTEN
from jac_converge.config.storage import StorageSettings

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

LARGE = 17 * 1024 * 1024 + 3  # bytes: more than two parts
DISK = "disk"


@pytest.fixture(params=[DISK, "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Give an empty storage."""
    if request.param == DISK:
        return DiskFiles(tmp_path)
    server: S3Server = request.getfixturevalue("s3_server")
    settings = server.new_bucket(f"test-{secrets.token_hex(4)}")
    return S3Files(StorageSettings.model_validate({**settings, "prefix": "shop/"}))


def put(blobs: Blobs, key: str, content: bytes = b"content") -> None:
    """Write a file."""
    blobs.write(key, io.BytesIO(content), metadata={}, go_on=waited_for)


def content_of(blobs: Blobs, key: str, start: int = 0, stop: int | None = None) -> bytes:
    """Read a file."""
    reading = blobs.open(key)
    try:
        return b"".join(reading.pieces(start, stop))
    finally:
        reading.close()


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, LARGE])
def test_file_comes_back_as_it_was(blobs: Blobs, size: int) -> None:
    """Of whatever size, and any range of it."""
    content = os.urandom(size)
    put(blobs, "storage/a b/ö?.bin", content)
    assert content == content_of(blobs, "storage/a b/ö?.bin")
    assert content[5:-5] == content_of(blobs, "storage/a b/ö?.bin", 5, max(5, size - 5))
    found = blobs.info("storage/a b/ö?.bin")
    assert found is not None
    assert (size, False) == (found.size, found.folder)


def test_file_is_replaced_as_a_whole(blobs: Blobs) -> None:
    """Who reads meanwhile has one of the two, or an error; never a mixture."""
    put(blobs, "storage/a", b"old" * 1000)
    before = blobs.open("storage/a")
    put(blobs, "storage/a", b"new" * 1000)
    try:
        assert b"old" * 1000 == b"".join(before.pieces())
    except NoSuchFile:
        pass
    finally:
        before.close()
    assert b"new" * 1000 == content_of(blobs, "storage/a")
    after = blobs.info("storage/a")
    assert after is not None
    assert before.info.etag != after.etag


def test_file_that_is_not_there(blobs: Blobs) -> None:
    """Is told apart from an error, whatever is asked."""
    with pytest.raises(NoSuchFile):
        blobs.open("storage/none")
    assert blobs.info("storage/none") is None
    assert not blobs.remove("storage/none")
    assert not blobs.copy("storage/none", "storage/other")
    assert not blobs.move("storage/none", "storage/other")
    assert [] == list(blobs.names("storage/none", recursive=True))


def test_names_of_files_and_folders(blobs: Blobs) -> None:
    """One folder, or all files below it."""
    for key in ("storage/b", "storage/a/x", "storage/a/y/z", "storagex/c"):
        put(blobs, key)
    assert ["storage/a", "storage/b"] == list(blobs.names("storage", recursive=False))
    expected = ["storage/a/x", "storage/a/y/z", "storage/b"]
    assert expected == list(blobs.names("storage", recursive=True))
    folder = blobs.info("storage/a")
    assert folder is not None
    assert folder.folder


def test_names_are_as_they_were_given(blobs: Blobs) -> None:
    """With signs that mean something in a URL or in XML, and none that look alike are one."""
    names = [
        "a b",
        "a%20b",
        "a+b",
        "<a>&amp;",
        "e\u0301",
        "\u00e9",
        "a?b#c",
        "\U0001f680",
        "x" * 200,
    ]
    for name in names:
        put(blobs, f"storage/{name}/{name}", name.encode())
    keys = sorted(f"storage/{name}/{name}" for name in names)
    assert keys == sorted(blobs.names("storage", recursive=True))
    folders = sorted(f"storage/{name}" for name in names)
    assert folders == sorted(blobs.names("storage", recursive=False))
    for name in names:
        assert name.encode() == content_of(blobs, f"storage/{name}/{name}")
        assert blobs.remove(f"storage/{name}")
    assert [] == list(blobs.names("storage", recursive=True))


def test_copy_move_and_remove(blobs: Blobs) -> None:
    """Files one by one, folders as a whole."""
    put(blobs, "storage/a", b"one")
    assert blobs.copy("storage/a", "storage/copies/a")
    assert blobs.move("storage/a", "storage/moved/a")
    assert blobs.move("storage/moved/a", "storage/moved/a")
    assert ["storage/copies/a", "storage/moved/a"] == list(blobs.names("storage", recursive=True))
    assert b"one" == content_of(blobs, "storage/copies/a") == content_of(blobs, "storage/moved/a")
    with pytest.raises(BadKey, match="is a folder"):
        blobs.move("storage/moved", "storage/other")
    assert blobs.remove("storage/copies")
    assert blobs.remove("storage/moved/a")
    assert [] == list(blobs.names("storage", recursive=True))


class Broken(io.BytesIO):
    """A source that fails on its way."""

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, or fail behind a few megabytes."""
        if self.tell() > LARGE // 2:
            raise RuntimeError("broken")
        return super().read(size)


def waited_for() -> None:
    """Let it go on."""


def given_up() -> None:
    """End what asks."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["broken", "given up"])
def test_file_that_is_not_whole_is_not_there(
    blobs: Blobs, how: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The one of before is, and nothing else is left."""
    put(blobs, "storage/a", b"before")
    source = Broken(bytes(LARGE)) if how == "broken" else io.BytesIO(bytes(LARGE))
    go_on = waited_for if how == "broken" else given_up
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        blobs.write("storage/a", source, metadata={}, go_on=go_on)
    assert b"before" == content_of(blobs, "storage/a")
    if "s3" not in request.node.callspec.id:
        assert [] == list((tmp_path / "storage" / PARTS).iterdir())
        return
    assert [] == request.getfixturevalue("s3_server").left_in(".minio.sys/multipart")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskFiles]:
    """Give a storage on disk, with links that lead out of it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_bytes(b"secret")
    root = tmp_path / "root"
    (root / "storage").mkdir(parents=True)
    (root / "storage" / "folder").symlink_to(tmp_path / "secret")
    (root / "storage" / "file").symlink_to(tmp_path / "secret" / "key")
    yield DiskFiles(root)
    assert b"secret" == (tmp_path / "secret" / "key").read_bytes()
    assert ["key"] == [one.name for one in (tmp_path / "secret").iterdir()]


def test_no_link_is_followed(disk: DiskFiles) -> None:
    """Neither to read, nor to write, nor to remove."""
    for key in ("storage/file", "storage/folder/key"):
        with pytest.raises((NoSuchFile, BadKey)):
            disk.open(key)
        assert disk.info(key) is None
        assert not disk.copy(key, "storage/copy")
    assert [] == list(disk.names("storage", recursive=True))
    assert [] == list(disk.names("storage/folder", recursive=True))
    with pytest.raises(BadKey):
        put(disk, "storage/folder/new")
    assert not disk.remove("storage/folder/key")
    put(disk, "storage/file", b"mine")  # takes the place of the link
    assert b"mine" == content_of(disk, "storage/file")
    assert disk.remove("storage/folder")


def test_pipe_is_no_file(disk: DiskFiles, tmp_path: Path) -> None:
    """Who opens one waits for ever, or for somebody else's bytes."""
    os.mkfifo(tmp_path / "root" / "storage" / "pipe")
    with pytest.raises(NoSuchFile):
        disk.open("storage/pipe")
    assert disk.info("storage/pipe") is None


def test_folder_of_the_operator_may_be_a_link(tmp_path: Path) -> None:
    """As where a volume is mounted elsewhere."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "storage").symlink_to(tmp_path / "volume")
    put(DiskFiles(tmp_path), "storage/a")
    assert b"content" == (tmp_path / "volume" / "a").read_bytes()


def test_file_and_folder_have_different_names(tmp_path: Path) -> None:
    """On a disk; the error says so."""
    disk = DiskFiles(tmp_path)
    put(disk, "storage/a/b")
    for key in ("storage/a", "storage/a/b/c"):
        with pytest.raises(BadKey, match="cannot have the same name"):
            put(disk, key)
    assert [] == list((tmp_path / "storage" / PARTS).iterdir())


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Other users of the machine read none."""
    put(DiskFiles(tmp_path), "storage/a/b")
    modes = [(tmp_path / "storage" / name).stat().st_mode & 0o777 for name in ("a", "a/b")]
    assert [0o700, 0o600] == modes


def test_what_a_killed_process_began_goes_a_day_later(tmp_path: Path) -> None:
    """Not before: another one may be at it."""
    parts = tmp_path / "storage" / PARTS
    parts.mkdir(parents=True)
    for name, age in (("old", FORGOTTEN + 60), ("new", FORGOTTEN - 3600)):
        (parts / name).touch()
        moment = (parts / name).stat().st_mtime - age
        os.utime(parts / name, (moment, moment))
    put(DiskFiles(tmp_path), "storage/a")
    assert ["new"] == [one.name for one in parts.iterdir()]


def test_folder_that_a_killed_process_began_to_remove_goes(tmp_path: Path) -> None:
    """As soon as another process changes something: an account that left has no files any more."""
    left = tmp_path / "storage" / PARTS / f"{GONE}1" / "folder"
    left.mkdir(parents=True)
    (left / "secret").touch()
    assert not DiskFiles(tmp_path).remove("storage/none")
    assert [] == list((tmp_path / "storage" / PARTS).iterdir())


def test_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """As no mistake of the caller."""
    (tmp_path / "root").write_text("no folder")
    with pytest.raises((FilesDown, BadKey)):
        put(DiskFiles(tmp_path / "root"), "storage/a")


def test_bucket_that_is_not_there_is_told(s3_server: "S3Server") -> None:
    """As no mistake of the caller, and by its name."""
    settings = {**s3_server.new_bucket(f"test-{secrets.token_hex(4)}"), "bucket": "none-such"}
    files = S3Files(StorageSettings.model_validate(settings))
    with pytest.raises(FilesDown, match="NoSuchBucket"):
        put(files, "storage/a")


def test_wrong_secret_is_told(s3_server: "S3Server") -> None:
    """So the server does check signatures."""
    settings = s3_server.new_bucket(f"test-{secrets.token_hex(4)}")
    files = S3Files(StorageSettings.model_validate({**settings, "secret_access_key": "wrong"}))
    with pytest.raises(FilesDown, match="SignatureDoesNotMatch"):
        put(files, "storage/a")


def test_credentials_come_from_the_environment(
    s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the settings have none; and where nobody has any, that is told."""
    settings = s3_server.new_bucket(f"test-{secrets.token_hex(4)}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", settings.pop("access_key_id"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", settings.pop("secret_access_key"))
    files = S3Files(StorageSettings.model_validate(settings))
    put(files, "storage/a", b"mine")
    assert b"mine" == content_of(files, "storage/a")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(FilesDown, match="there are no credentials for S3"):
        put(files, "storage/a")


def test_url_of_s3_itself_is_good_without_credentials(s3_server: "S3Server") -> None:
    """For one file, until it ends."""
    settings = {**s3_server.new_bucket(f"test-{secrets.token_hex(4)}"), "direct_urls": True}
    files = S3Files(StorageSettings.model_validate(settings))
    put(files, "storage/ä b.txt", b"mine")
    url = files.url("storage/ä b.txt", seconds=60, disposition="attachment")
    assert url is not None
    answer = urllib3.request("GET", url)
    assert (200, b"mine") == (answer.status, answer.data)
    assert "attachment" == answer.headers["Content-Disposition"]
    assert 403 == urllib3.request("GET", url.replace("%20b", "%20c")).status


def test_names_come_in_pages(s3_server: "S3Server") -> None:
    """All of them, though S3 gives a thousand at most at a time."""
    settings = s3_server.new_bucket(f"test-{secrets.token_hex(4)}")
    files = S3Files(StorageSettings.model_validate(settings))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(files, f"storage/{n:04}", b""), range(1010)))
    assert [f"storage/{n:04}" for n in range(1010)] == list(files.names("storage", recursive=True))
