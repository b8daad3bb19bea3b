"""A real S3 that goes mute, slow or away, behind a proxy, or refuses."""

import io
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from jac_converge.app_runtime.files import BadKey, FilesDown, NoSuchFile
from jac_converge.app_runtime.files.bucket import AT_ONCE, Bucket
from jac_converge.app_runtime.files.keys import checked_key
from jac_converge.app_runtime.files.s3 import PART, S3Files
from jac_converge.config.storage import StorageSettings
from tests.servers.process import wait_until
from tests.servers.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

SHUT = "the next probe will tell"
KEY = "storage/a"


@dataclass(slots=True)
class Behind:
    """A bucket whose server can be made mute."""

    files: S3Files
    proxy: TcpProxy

    def put(self, content: bytes, key: str = KEY) -> None:
        """Write a file."""
        self.files.write(key, io.BytesIO(content), metadata={}, go_on=lambda: None)

    def get(self) -> bytes:
        """Read it."""
        with closing(self.files.open(KEY)) as reading:
            return b"".join(reading.pieces())

    def answers(self) -> bool:
        """Say whether files can be had."""
        try:
            return self.files.info("storage/none") is None
        except FilesDown:
            return False


@pytest.fixture
def behind(s3_server: "S3Server") -> Iterator[Behind]:
    """Give an empty bucket."""
    with TcpProxy(s3_server.port) as proxy:
        settings = s3_server.new_bucket(f"test-{secrets.token_hex(4)}")
        settings["endpoint_url"] = f"http://127.0.0.1:{proxy.port}"
        limits = {"connect_timeout": 2, "read_timeout": 2}
        with closing(S3Files(StorageSettings.model_validate(settings | limits))) as files:
            yield Behind(files, proxy)


@pytest.mark.parametrize("fault", ["stall", "refuse"])
def test_outage_costs_one_time_out(behind: Behind, fault: str) -> None:
    """Everybody after the first is told at once, whatever they want, until it answers."""
    behind.put(b"before")
    getattr(behind.proxy, fault)()
    with pytest.raises(FilesDown) as first:
        behind.put(b"meanwhile")
    assert SHUT not in str(first.value)
    wishes: list[Callable[[], object]] = [
        behind.get,
        lambda: behind.put(b"meanwhile"),
        lambda: behind.files.remove(KEY),
        lambda: behind.files.copy(KEY, "storage/b"),
        lambda: list(behind.files.names("storage", recursive=True)),
    ]
    for wish in wishes:
        with pytest.raises(FilesDown, match=SHUT):
            wish()
    behind.proxy.resume()
    wait_until(behind.answers, within=20, what="S3's answer")
    behind.put(b"after")
    assert b"after" == behind.get()


def test_mute_server_in_the_middle_of_a_file_is_told(behind: Behind) -> None:
    """Neither a part of it nor a thread that waits for ever."""
    behind.put(os.urandom(5 * PART))  # more than all buffers on the way hold
    with closing(behind.files.open(KEY)) as reading:
        pieces = reading.pieces()
        next(pieces)
        behind.proxy.stall()
        with pytest.raises(FilesDown, match="broke off"):
            list(pieces)
    with pytest.raises(FilesDown, match=SHUT):
        behind.get()


def test_upload_that_an_outage_ends_leaves_nothing(behind: Behind, s3_server: "S3Server") -> None:
    """Its parts go with the next file, when S3 answers again."""
    source = Harmful(bytes(2 * PART))
    source.happens = behind.proxy.stall
    with pytest.raises(FilesDown):
        behind.files.write(KEY, source, metadata={}, go_on=lambda: None)
    behind.proxy.resume()
    wait_until(behind.answers, within=20, what="S3's answer")
    behind.put(b"", "storage/b")
    assert [] == s3_server.left_in(".minio.sys/multipart")
    assert behind.files.info(KEY) is None


def test_slow_server_is_no_outage(behind: Behind) -> None:
    """As long as it says something in time."""
    behind.proxy.slow(0.1)
    behind.put(b"slowly")
    assert b"slowly" == behind.get()


class Harmful(io.BytesIO):
    """A source in whose middle something happens."""

    happens: Callable[[], None]

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes."""
        if self.tell() == PART:
            self.happens()
        return super().read(size)


def test_cut_connection_is_made_again(behind: Behind) -> None:
    """Also between two parts of a file, which arrives whole."""
    content = os.urandom(2 * PART + 1)
    source = Harmful(content)
    source.happens = behind.proxy.cut
    behind.files.write(KEY, source, metadata={}, go_on=lambda: None)
    behind.proxy.cut()
    assert content == behind.get()


def test_connection_is_cut_in_the_middle_of_a_part(behind: Behind) -> None:
    """It is sent from its beginning once more."""
    content = os.urandom(PART - 1)
    behind.put(b"")
    behind.proxy.slow(0.02)

    def cut() -> None:
        begun = behind.proxy.bytes_up
        wait_until(lambda: behind.proxy.bytes_up > begun + 500_000, within=30, what="a part")
        behind.proxy.slow(0)
        behind.proxy.cut()

    with ThreadPoolExecutor(1) as pool:
        cutting = pool.submit(cut)
        behind.put(content)
        cutting.result()
    assert content == behind.get()


def test_name_that_is_too_long_behind_a_prefix(s3_server: "S3Server") -> None:
    """It is the client's mistake, and no outage."""
    settings = s3_server.new_bucket(f"test-{secrets.token_hex(4)}") | {"prefix": "folder/" * 20}
    with closing(S3Files(StorageSettings.model_validate(settings))) as files:
        key = checked_key("storage/" + "/".join(["x" * 180] * 4 + ["y" * 160]))
        with pytest.raises(BadKey, match="does not take this name"):
            files.write(key, io.BytesIO(b""), metadata={}, go_on=lambda: None)
        assert files.info(key) is None
        with pytest.raises((BadKey, NoSuchFile)):
            files.open(key)


def test_crowd_before_a_mute_server_leaves_threads_to_others(behind: Behind) -> None:
    """Those beyond the places are told before the first ones have waited to the end."""
    behind.proxy.stall()

    def told(number: int) -> str:
        with pytest.raises(FilesDown) as raised:
            behind.put(b"", f"storage/{number}")
        return str(raised.value)

    with ThreadPoolExecutor(AT_ONCE + 8) as pool:
        texts = list(pool.map(told, range(AT_ONCE + 8)))
    assert 8 <= len([text for text in texts if "are under way" in text or SHUT in text])


def test_bucket_that_is_not_there_is_told_to_readers(s3_server: "S3Server") -> None:
    """And is not taken for a file that is not there."""
    settings = {**s3_server.new_bucket(f"test-{secrets.token_hex(4)}"), "bucket": "none-such"}
    with closing(S3Files(StorageSettings.model_validate(settings))) as files:
        for wish in (files.open, files.info, lambda key: files.copy(key, "b")):
            with pytest.raises(FilesDown, match=r"NoSuchBucket.*make the bucket"):
                wish(KEY)


@pytest.mark.parametrize(("minutes", "way"), [(-60, "behind"), (60, "ahead of")])
def test_wrong_clock_is_told(s3_server: "S3Server", minutes: int, way: str) -> None:
    """By how much it is wrong, also where an answer has no body."""
    settings = s3_server.new_bucket(f"test-{secrets.token_hex(4)}")
    wrong = timedelta(minutes=minutes)
    bucket = Bucket(
        StorageSettings.model_validate(settings), clock=lambda: datetime.now(UTC) + wrong
    )
    for method in ("PUT", "HEAD"):
        with pytest.raises(FilesDown, match=rf"clock of this machine is 3[56]\d\d s {way}"):
            bucket.send(method, KEY)


FORKING = """
import json, os, sys
from jac_converge.app_runtime.files.s3 import S3Files
from jac_converge.config.storage import StorageSettings

files = S3Files(StorageSettings.model_validate(json.loads(sys.argv[1])))
assert files.info("storage/a") is None
if (child := os.fork()) == 0:
    os._exit(files.info("storage/a") is not None)
assert os.waitpid(child, 0)[1] == 0
assert files.info("storage/a") is None
"""


def test_forked_child_has_connections_of_its_own(s3_server: "S3Server") -> None:
    """Else it and its parent would read each other's answers; the parent keeps its own."""
    settings = s3_server.new_bucket(f"test-{secrets.token_hex(4)}")
    with TcpProxy(s3_server.port) as proxy:
        settings["endpoint_url"] = f"http://127.0.0.1:{proxy.port}"
        command = [sys.executable, "-c", FORKING, json.dumps(settings)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (0, "") == (ran.returncode, ran.stderr)
        assert 2 == proxy.accepted
