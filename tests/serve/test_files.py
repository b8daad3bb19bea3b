"""`store()`: files of an app, on disk and in a bucket; on real servers."""

import base64
import http.client
import json
import re
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from jac_converge.app_runtime.files.bucket import AT_ONCE
from tests.servers.jac_server import Answer, JacServer
from tests.servers.process import wait_until
from tests.servers.tcp_proxy import TcpProxy

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

APP = Path(__file__).parent / "apps" / "files" / "files.jac"
BOUNDARY = "the-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
CROWD = 60  # fewer than there are threads for calls, and more than may wait for S3
MEGABYTE = 1024 * 1024
MOST_GROWTH = 40 * MEGABYTE  # of a process, whatever the size of a file


def serve(folder: Path, settings: dict[str, Any], **server: Any) -> JacServer:
    """Describe a server with its settings of files."""
    made = JacServer(APP, folder)
    tables = {"storage": settings, "server": server}
    lines = [
        f"[converge.{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in of)
        for table, of in ((table, values.items()) for table, values in tables.items())
    ]
    (folder / "jac.toml").write_text("".join(lines))
    return made


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give a server that keeps files on disk."""
    with serve(tmp_path_factory.mktemp("disk"), {}, max_upload_bytes=100 * MEGABYTE) as server:
        yield server


@pytest.fixture(scope="module")
def in_bucket(
    s3_server: "S3Server", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JacServer]:
    """Give a server that keeps them in a bucket."""
    folder = tmp_path_factory.mktemp("bucket")
    settings = {**s3_server.new_bucket("of-the-server"), "prefix": "shop/"}
    with serve(folder, settings, max_upload_bytes=100 * MEGABYTE) as server:
        yield server


@pytest.fixture(params=["on_disk", "in_bucket"])
def server(request: pytest.FixtureRequest) -> JacServer:
    """Give one after the other."""
    given: JacServer = request.getfixturevalue(request.param)
    return given


def form(content: bytes, **fields: str) -> bytes:
    """Return a form with a file and texts."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields.items()
    ]
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return b"".join([*parts, head.encode(), content, f"\r\n--{BOUNDARY}--\r\n".encode()])


def put(server: JacServer, name: str, content: bytes, walker: str = "put", **more: Any) -> Answer:
    """Upload a file."""
    fields = more.pop("fields", {})
    raw = form(content, name=name, **fields)
    return server.send("POST", f"/walker/{walker}", raw=raw, headers=FORM, timeout=120, **more)


def follow(server: JacServer, link: str, method: str = "GET", **headers: str) -> Answer:
    """Follow a link."""
    return server.send(method, link, headers=headers)


def test_what_is_said_about_a_file_comes_back(server: JacServer) -> None:
    """And `content_type` is what a client hears; what cannot be said is a 422."""
    about = {"content_type": "text/x-note; charset=utf-8", "by": "Zoë & Ann"}
    (told,) = server.call("/walker/note", name="n.html", about=about).reports
    assert (about, about["content_type"]) == (told["metadata"], told["content_type"])
    answer = follow(server, link_to(server, "n.html"))
    assert (200, about["content_type"]) == (answer.status, answer.headers["Content-Type"])
    assert answer.headers["Content-Disposition"].startswith("attachment")
    for wrong in ({"a b": "c"}, {"content_type": "text/html\r\nX: y"}, {"by": "x" * 3000}):
        refused = server.call("/walker/note", name="n.html", about=wrong)
        assert (422, "BAD_METADATA") == (refused.status, refused.code)
    (told,) = server.call("/walker/note", name="n.html", about={}).reports
    assert ({}, "text/html") == (told["metadata"], told["content_type"])
    server.call("/walker/change", verb="delete", name="n.html")


def link_to(server: JacServer, name: str, **more: Any) -> str:
    """Ask for a link."""
    (made,) = server.call("/walker/link", name=name, **more).reports
    assert isinstance(made, str)
    return made


def test_file_is_stored_and_read(server: JacServer) -> None:
    """Under the name that it is given."""
    assert ["a/ö.txt"] == put(server, "/a/ö.txt", b"hello").reports
    (content,) = server.call("/walker/get", name="a/ö.txt").reports
    assert b"hello" == base64.b64decode(content)
    there, about = server.call("/walker/look", name="a/ö.txt").reports
    assert there
    assert (5, False, "ö.txt") == (about["size"], about["is_dir"], about["name"])
    assert abs(about["modified"] - time.time()) < 600
    assert [["a"]] == server.call("/walker/names").reports
    assert [["a/ö.txt"]] == server.call("/walker/names", deep=True).reports
    assert [True] == server.call("/walker/change", verb="copy", name="a/ö.txt", other="b").reports
    assert [True] == server.call("/walker/change", verb="move", name="b", other="c").reports
    for name in ("a", "c"):
        assert [True] == server.call("/walker/change", verb="delete", name=name).reports
    assert [[]] == server.call("/walker/names", deep=True).reports


def test_file_that_is_not_there_is_a_404(server: JacServer) -> None:
    """And no 500, as an error of the app would be."""
    for walker in ("get", "look", "link"):
        answer = server.call(f"/walker/{walker}", name="none")
        assert (404, "NOT_FOUND") == (answer.status, answer.code), walker


@pytest.mark.parametrize("name", ["../x", "a/../../x", ".hidden", "a\\b", "a//b", "x" * 300])
def test_name_that_leads_elsewhere_is_a_422(server: JacServer, name: str) -> None:
    """In whatever way it is used."""
    answers = [put(server, name, b"x"), server.call("/walker/get", name=name)]
    answers += [server.call("/walker/change", verb="delete", name=name)]
    assert [(422, "BAD_FILE_NAME")] * 3 == [(one.status, one.code) for one in answers]


@pytest.mark.parametrize("folder", ["..", ".", "/tmp", "own-files", ".jac"])  # noqa: S108
def test_folder_elsewhere_is_refused(on_disk: JacServer, folder: str) -> None:
    """There are the app's own code and secrets."""
    answer = put(on_disk, "jac.toml", b"x", fields={"folder": folder})
    assert (422, "BAD_FILE_NAME") == (answer.status, answer.code)


def memory_of(server: JacServer) -> int:
    """Return the most memory that a server had since the last call of this, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_large_file_is_never_whole_in_memory(server: JacServer) -> None:
    """Neither on its way in nor on its way out."""
    content = bytes(range(256)) * (90 * MEGABYTE // 256)
    put(server, "warm", bytes(9 * MEGABYTE))
    memory_of(server)
    put(server, "warm", b"x")
    before = memory_of(server)
    assert ["large"] == put(server, "large", content).reports
    link = link_to(server, "large")
    assert memory_of(server) - before < MOST_GROWTH
    assert content == follow(server, link).body
    assert memory_of(server) - before < MOST_GROWTH
    server.call("/walker/change", verb="delete", name="large")
    server.call("/walker/change", verb="delete", name="warm")


def left_over(server: JacServer, request: pytest.FixtureRequest) -> list[str]:
    """Return what there is of files, whole or not."""
    folder = server.file.parent / "storage"
    found = [str(one) for one in folder.rglob("*") if one.is_file()] if folder.exists() else []
    if "in_bucket" in request.node.callspec.id:
        s3_server: S3Server = request.getfixturevalue("s3_server")
        found += s3_server.left_in("of-the-server")
    return found


def test_upload_that_fails_leaves_nothing(
    server: JacServer, request: pytest.FixtureRequest
) -> None:
    """One whose source breaks, one that is too large, and one whose client leaves."""
    answer = put(server, "broken", bytes(3 * MEGABYTE), "put_and_fail")
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    raw = form(bytes(MEGABYTE), name="left")
    with socket.create_connection((server.host, server.port)) as connection:
        head = f"POST /walker/put HTTP/1.1\r\nHost: x\r\nContent-Length: {len(raw)}\r\n"
        head += f"Content-Type: {FORM['Content-Type']}\r\n\r\n"
        connection.sendall(head.encode() + raw[:-100])
    assert ["after"] == put(server, "after", b"x").reports
    server.call("/walker/change", verb="delete", name="after")
    assert [] == left_over(server, request)
    for raw_or_chunks in (form(bytes(101 * MEGABYTE), name="big"), iter([b"x" * MEGABYTE] * 102)):
        connection_ = http.client.HTTPConnection(server.host, server.port, timeout=60)
        try:
            connection_.request("POST", "/walker/put", raw_or_chunks, FORM)
        except (BrokenPipeError, ConnectionResetError):
            continue  # it did not even listen to the end
        else:
            assert connection_.getresponse().status in (413, 422)
        finally:
            connection_.close()
    assert [] == left_over(server, request)


def test_link_is_followed_in_ranges(server: JacServer) -> None:
    """As players and downloads that go on do it."""
    content = bytes(range(256)) * 4096
    put(server, "clip.mp4", content)
    link = link_to(server, "clip.mp4")
    whole = follow(server, link)
    assert (200, content) == (whole.status, whole.body)
    assert "video/mp4" == whole.headers["Content-Type"]
    assert "inline; filename*=UTF-8''clip.mp4" == whole.headers["Content-Disposition"]
    assert "sandbox; default-src 'none'" == whole.headers["Content-Security-Policy"]
    etag = whole.headers["ETag"]
    size = len(content)
    for asked, start, stop in (
        ("bytes=0-9", 0, 10),
        ("bytes=1000000-", 1_000_000, size),
        ("bytes=-5", size - 5, size),
        ("bytes=5-99999999999", 5, size),
    ):
        part = follow(server, link, Range=asked, **{"If-Range": etag, "Accept-Encoding": "gzip"})
        assert (206, content[start:stop]) == (part.status, part.body)
        assert f"bytes {start}-{stop - 1}/{size}" == part.headers["Content-Range"]
    for asked in ("bytes=9-5", "bytes=0-1,4-5", "lines=1-2", "bytes=a-b"):
        assert (200, size) == (follow(server, link, Range=asked).status, len(content))
    assert 200 == follow(server, link, Range="bytes=0-9", **{"If-Range": '"other"'}).status
    beyond = follow(server, link, Range=f"bytes={size}-")
    assert (416, f"bytes */{size}") == (beyond.status, beyond.headers["Content-Range"])
    assert 304 == follow(server, link, **{"If-None-Match": etag}).status
    head = follow(server, link, "HEAD")
    assert (200, str(size), b"") == (head.status, head.headers["Content-Length"], head.body)


def test_page_of_somebody_is_saved_and_not_run(server: JacServer) -> None:
    """It would run with the rights of the app's own pages."""
    put(server, "page.html", b"<script>alert(1)</script>" * 100)
    answer = follow(server, link_to(server, "page.html"), **{"Accept-Encoding": "gzip"})
    assert "attachment; filename*=UTF-8''page.html" == answer.headers["Content-Disposition"]
    assert ("nosniff", None) == (
        answer.headers["X-Content-Type-Options"],
        answer.headers["Content-Encoding"],
    )


def test_link_is_for_one_file_and_a_while(server: JacServer) -> None:
    """Whoever changes it, or comes too late, gets nothing."""
    put(server, "one", b"1")
    put(server, "two", b"2")
    link = link_to(server, "one")
    for other in (
        link.replace("/one?", "/two?"),
        link.replace("expires=", "expires=9"),
        link.partition("?")[0],
        link[:-1],
        link.replace("/storage/one?", "/storage/%2e%2e/storage/one?"),
        "/stored/jac.toml?expires=9999999999&signature=",
    ):
        answer = follow(server, other)
        assert (403, "FORBIDDEN") == (answer.status, answer.code), other
    short = link_to(server, "one", seconds=1)
    wait_until(lambda: follow(server, short).status == 403, within=20, what="the end of a link")
    assert 500 == server.call("/walker/link", name="one", seconds=0).status
    server.call("/walker/change", verb="delete", name="one")
    assert 404 == follow(server, link).status


def test_files_of_an_account_are_its_own(server: JacServer, request: pytest.FixtureRequest) -> None:
    """Nobody else reaches them, unless by a link that the account gives away."""
    name = re.sub(r"\W", "", request.node.name)
    ann, bob = server.register(f"ann{name}"), server.register(f"bob{name}")
    assert ["photos/me"] == put(server, "photos/me", b"ann", "keep", token=ann).reports
    assert ["photos/me"] == put(server, "photos/me", b"bob", "keep", token=bob).reports
    for token, content in ((ann, b"ann"), (bob, b"bob")):
        (files,) = server.call("/walker/kept", token).reports
        assert [["photos/me", base64.b64encode(content).decode()]] == files
    (link,) = server.call("/walker/share", ann, name="photos/me").reports
    assert b"ann" == follow(server, link).body
    path = link.partition("?")[0].removeprefix("/stored/")
    answers = [server.call("/walker/get", bob, name=f"../{path}")]
    answers += [put(server, "x", b"x", fields={"folder": path.rpartition("/")[0]})]
    assert [422, 422] == [one.status for one in answers]
    assert 401 == server.call("/walker/kept").status
    assert 403 == server.call("/walker/kept_by_nobody").status
    left = server.send("DELETE", "/user/me", {"current_password": "correct horse"}, token=ann)
    assert 200 == left.status
    assert 404 == follow(server, link).status
    (files,) = server.call("/walker/kept", bob).reports
    assert 1 == len(files)


def test_upload_ends_with_its_time(tmp_path: Path) -> None:
    """A 504, and nothing is left."""
    with serve(tmp_path, {}, request_timeout=1) as server:
        answer = put(server, "slow", bytes(MEGABYTE), "put_slowly")
        assert (504, "TIMEOUT") == (answer.status, answer.code)
        parts = tmp_path / "storage" / ".parts"
        wait_until(lambda: not list(parts.iterdir()), within=20, what="the end of the upload")
        assert [".parts"] == [one.name for one in (tmp_path / "storage").iterdir()]


def test_calls_without_files_go_on_while_s3_is_mute(s3_server: "S3Server", tmp_path: Path) -> None:
    """Those with files are told, at once after the first ones, until it answers; no probe asks."""
    with TcpProxy(s3_server.port) as proxy, ThreadPoolExecutor(CROWD) as clients:
        settings = s3_server.new_bucket("mute") | {"endpoint_url": f"http://127.0.0.1:{proxy.port}"}
        with serve(tmp_path, {**settings, "read_timeout": 6}) as server:
            assert ["a"] == put(server, "a", b"1").reports
            link = link_to(server, "a")
            proxy.stall()
            waiting = [clients.submit(server.call, "/walker/get", name="a") for _ in range(CROWD)]
            wait_until(lambda: proxy.open >= AT_ONCE, within=30, what="a crowd before S3")
            for number in range(20):
                assert [number] == server.call("/walker/count", number=number).reports
            assert not all(one.done() for one in waiting)
            answers = [one.result(60) for one in waiting]
            assert {(503, "NO_FILES", "5")} == {
                (one.status, one.code, one.headers["Retry-After"]) for one in answers
            }
            for answer in (put(server, "b", b"1"), follow(server, link)):
                assert (503, "NO_FILES") == (answer.status, answer.code)
            log = server.log.read_text()
            assert 1 == log.count("files are refused until it answers")
            assert settings["secret_access_key"] not in log
            assert 200 == server.get("/healthz/ready").status
            proxy.resume()
            wait_until(lambda: put(server, "b", b"1").status == 200, within=60, what="a way back")
            assert b"1" == follow(server, link).body
            asked = proxy.bytes_up
            for path in ("/healthz/live", "/healthz/ready"):
                assert 200 == server.get(path).status
            assert asked == proxy.bytes_up
