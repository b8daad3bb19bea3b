"""`jac serve --export`, `--import`, `--collect` and `--create-admin`, as a user calls them."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.jac_server import COMMAND, JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.process import free_port

GARDEN = Path(__file__).with_name("garden.jac")
JAC = str(Path(sys.executable).with_name("jac"))


def run(
    folder: Path,
    *flags: str,
    command: str = COMMAND,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one job on the app in a folder."""
    folder.mkdir(exist_ok=True)
    shutil.copy(GARDEN, folder)
    return subprocess.run(
        [command, "serve", GARDEN.name, *flags], cwd=folder, env=env, input=stdin,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def shelf(folder: Path) -> Path:
    """Return where the shelf of an app in this folder is."""
    return folder / ".jac" / "converge" / "shelf.db"


def make_old(folder: Path) -> None:
    """Let everything on a shelf have been there for ever."""
    with sqlite3.connect(shelf(folder)) as connection:
        connection.execute("UPDATE documents SET stamp = 1")
    connection.close()


@pytest.fixture
def planted(tmp_path: Path) -> JacServer:
    """Give a server that is stopped, on whose shelf an account and a guest have planted."""
    server = JacServer(GARDEN, tmp_path / "planted")
    with server:
        server.call("/walker/plant", bed="anybody's", names=["moss"])
        server.call("/walker/my_plant", server.register("ann"), bed="ann's", names=["oak", "elm"])
    return server


def test_data_moves_to_mongodb_and_back(planted: JacServer, tmp_path: Path) -> None:
    """While a server runs, by a file and by a pipe; accounts, passwords and nodes come along."""
    file, there, back = tmp_path / "out.jsonl", tmp_path / "there", tmp_path / "back"
    with planted, MongoServer() as mongo:
        ended = run(planted.file.parent, "--export", str(file))
        assert (0, "") == (ended.returncode, ended.stdout), ended.stderr
        assert (
            "exported 15 documents (account 1, edge 5, name 1, node 5, root 2, sessions 1)"
            in ended.stderr
        )
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        env = os.environ | {"MONGODB_URI": mongo.url}
        ended = run(there, "--import", str(file), env=env)
        assert 0 == ended.returncode, ended.stderr
        assert "imported 15 documents" in ended.stderr
        assert not shelf(there).exists()
        piped = run(there, "--export", "-", env=env, command=JAC)
        assert 0 == piped.returncode, piped.stderr
        assert file.read_text() == piped.stdout
    ended = run(back, "--import", "-", stdin=piped.stdout, command=JAC)
    assert 0 == ended.returncode, ended.stderr
    with JacServer(GARDEN, back) as server:
        login = {"username": "ann", "password": "correct horse"}
        token = server.send("POST", "/user/login", login).body["data"]["token"]
        assert [{"ann's": ["oak", "elm"]}] == server.call("/walker/my_look", token).reports
        assert [{"anybody's": ["moss"]}] == server.call("/walker/look").reports


def test_import_into_data_is_refused(planted: JacServer, tmp_path: Path) -> None:
    """It names what is there and the file to move; a file that is not whole is refused, too."""
    folder, file = planted.file.parent, tmp_path / "out.jsonl"
    run(folder, "--export", str(file))
    ended = run(folder, "--import", str(file))
    assert 1 == ended.returncode
    assert "account 1" in ended.stderr
    assert f"move {shelf(folder)}* away" in ended.stderr
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    ended = run(tmp_path / "new", "--import", str(cut))
    assert (1, True) == (ended.returncode, "cut off" in ended.stderr)
    assert 0 == run(tmp_path / "new", "--import", str(file)).returncode


def test_export_leaves_out_what_is_damaged_and_names_it(planted: JacServer, tmp_path: Path) -> None:
    """All else is in the file, which is whole; the exit code says that something is not."""
    folder, file = planted.file.parent, tmp_path / "rest.jsonl"
    with closing(sqlite3.connect(shelf(folder))) as connection, connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM documents WHERE kind='node'")]
        connection.execute("UPDATE documents SET body = '{' WHERE id = ?", (ids[1],))
    ended = run(folder, "--export", str(file))
    assert 1 == ended.returncode
    assert "exported 14 documents" in ended.stderr
    assert f"node {ids[1]} cannot be read" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert 0 == run(tmp_path / "new", "--import", str(file)).returncode


def test_failed_export_keeps_the_file_of_before(planted: JacServer, tmp_path: Path) -> None:
    """And leaves nothing else behind."""
    folder, out = planted.file.parent, tmp_path / "out"
    out.mkdir()
    file = out / "good.jsonl"
    file.write_text("good")
    shelf(folder).write_text("no database " * 100)
    ended = run(folder, "--export", str(file))
    assert (1, "good") == (ended.returncode, file.read_text())
    assert [file] == list(out.iterdir())
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        pytest.param(["--export", "a", "--import", "b"], 2, "give one of", id="two-jobs"),
        pytest.param(["--yes"], 2, "--yes goes with --collect", id="yes-alone"),
        pytest.param(["--export", "a"], 1, "there is no shelf", id="no-data"),
        pytest.param(["--collect"], 1, "there is no shelf", id="nothing-to-collect"),
        pytest.param(["--import", "missing"], 1, "missing", id="no-file"),
    ],
)
def test_misuse_is_told_and_makes_no_file(
    tmp_path: Path, flags: list[str], code: int, words: str
) -> None:
    """With the right exit code."""
    ended = run(tmp_path, *flags)
    assert code == ended.returncode, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("flags", [["--export", "-"], ["--import", "-"], ["--collect"]])
def test_job_does_not_wait_for_a_database_that_is_not_there(
    tmp_path: Path, flags: list[str]
) -> None:
    """A scheduler would pile up those that do."""
    uri = f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=300"
    env = os.environ | {"MONGODB_URI": uri}
    ended = run(tmp_path, *flags, env=env)
    assert (1, True) == (ended.returncode, "MongoDB ping failed" in ended.stderr), ended.stderr
    assert "check that it runs" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_collect_removes_what_was_cut_off(planted: JacServer) -> None:
    """While the server runs: counted first, removed with --yes; what is young stays."""
    folder = planted.file.parent
    with planted:
        planted.call("/walker/plant", bed="lost", names=["fern", "reed"])
        planted.call("/walker/cut", bed="lost")
        assert "no root leads to: nothing" in run(folder, "--collect", "--yes").stderr
        make_old(folder)
        planted.call("/walker/plant", bed="fresh", names=["ivy"])
        planted.call("/walker/cut", bed="fresh")
        counted = run(folder, "--collect")
        assert "found what no root leads to: edge 2, node 3" in counted.stderr
        assert "--yes" in counted.stderr
        removed = run(folder, "--collect", "--yes", command=JAC)
        assert 0 == removed.returncode
        assert "removed what no root leads to: edge 2, node 3" in removed.stderr
        assert "no root leads to: nothing" in run(folder, "--collect").stderr
        assert [{"anybody's": ["moss"]}] == planted.call("/walker/look").reports


def test_damaged_document_is_named_and_nothing_removed(planted: JacServer) -> None:
    """Only what needs it fails; what it led to may be somebody's."""
    folder = planted.file.parent
    make_old(folder)
    with closing(sqlite3.connect(shelf(folder))) as connection, connection:
        connection.execute("UPDATE documents SET body = '{' WHERE body LIKE '%anybody%'")
        connection.execute("UPDATE documents SET body = '{' WHERE kind = 'account'")
        before = connection.execute("SELECT count(*) FROM documents").fetchone()
    collected = run(folder, "--collect", "--yes")
    assert 1 == collected.returncode
    assert "collect failed (Unreadable): " in collected.stderr
    assert "what it leads to is not known" in collected.stderr
    with planted:
        login = {"username": "ann", "password": "correct horse"}
        for answer in (planted.call("/walker/look"), planted.send("POST", "/user/login", login)):
            assert (500, "UNREADABLE") == (answer.status, answer.code)
            assert "cannot be read; the server's log says what" in answer.body["error"]["message"]
        assert 200 == planted.get("/healthz/ready").status
        assert 201 == planted.send("POST", "/user/register", login | {"username": "bob"}).status
        assert "cannot be read: " in planted.log_text()
    with closing(sqlite3.connect(shelf(folder))) as connection:
        graph = "SELECT count(*) FROM documents WHERE stamp = 1"
        assert before == connection.execute(graph).fetchone()


def test_collect_removes_old_nodes_of_guests(planted: JacServer) -> None:
    """With guest_ttl_seconds: theirs alone, with what hangs from them; without it, none."""
    folder = planted.file.parent
    make_old(folder)
    with planted:
        planted.call("/walker/plant", bed="new", names=["rush"])
        assert "guests" not in run(folder, "--collect", "--yes").stderr
        (folder / "jac.toml").write_text("[converge.database]\nguest_ttl_seconds = 3600\n")
        counted = run(folder, "--collect")
        assert "found nodes of guests that are too old: 2" in counted.stderr
        removed = run(folder, "--collect", "--yes")
        assert "removed nodes of guests that were too old: 2" in removed.stderr, removed.stderr
        assert [{"new": ["rush"]}] == planted.call("/walker/look").reports
    exported = run(folder, "--export", "-").stdout.splitlines()
    values = [json.loads(line) for line in exported]
    names = {
        value["body"]["fields"]["name"]
        for value in values
        if value.get("kind") == "node" and "name" in value["body"]["fields"]
    }
    assert {"ann's", "oak", "elm", "new", "rush"} == names


def test_collect_leaves_guests_nodes_beside_a_class_that_is_gone(planted: JacServer) -> None:
    """Nobody can unlink them; the others of the same commit go."""
    folder = planted.file.parent
    with planted:
        planted.call("/walker/plant", bed="bare", names=[])
    make_old(folder)
    (folder / "jac.toml").write_text("[converge.database]\nguest_ttl_seconds = 3600\n")
    without = GARDEN.read_text().replace("Plant", "Herb")
    planted.file.write_text(without)
    ended = subprocess.run(
        [COMMAND, "serve", GARDEN.name, "--collect", "--yes"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert 0 == ended.returncode, ended.stderr
    assert "too old: 1; 2 stay: of a class that is gone" in ended.stderr
    assert "no root leads to: nothing" in ended.stderr


@pytest.mark.parametrize("command", [COMMAND, JAC])
def test_admin_is_made_by_whoever_runs_the_server(tmp_path: Path, command: str) -> None:
    """With a password of theirs, which nothing prints; a second one of the name is refused."""
    folder, password = tmp_path / "new", "a horse of one's own"
    made = run(folder, "--create-admin", "Root", stdin=f"{password}\n", command=command)
    assert (0, "") == (made.returncode, made.stdout), made.stderr
    assert "Root is an admin" in made.stderr
    again = run(folder, "--create-admin", "root", stdin="another password\n", command=command)
    assert (1, True) == (again.returncode, "is taken; nothing was made" in again.stderr)
    assert password not in made.stderr + again.stderr
    with JacServer(GARDEN, folder) as server:
        body = {"username": "root", "password": password}
        answer = server.send("POST", "/user/login", body)
        assert (200, "admin") == (answer.status, answer.body["data"]["role"])
        assert password not in server.log_text()


@pytest.mark.parametrize("flag", ["--create-admin", "--export", "--import"])
def test_job_without_a_value_starts_no_server(tmp_path: Path, flag: str) -> None:
    """A variable of a script that was not set is a mistake, and not the wish to serve."""
    ended = run(tmp_path / "new", flag, "", stdin="a password\n")
    assert (2, True) == (ended.returncode, "need a value" in ended.stderr)


@pytest.mark.parametrize("given", ["", "short\n"])
def test_admin_without_a_password_is_not_made(tmp_path: Path, given: str) -> None:
    """There is no default one."""
    ended = run(tmp_path / "new", "--create-admin", "root", stdin=given)
    assert (1, True) == (ended.returncode, "a password has 8 to" in ended.stderr)
