"""`jac serve` as a user meets it: started, stopped, killed, misused."""

import http.client
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.jac_server import COMMAND, JacServer
from tests.servers.mongo_server import MongoServer
from tests.servers.process import free_port, wait_until

ROOT = Path(__file__).parents[2]
TODO = ROOT / "examples" / "todo" / "todo.jac"
TRAPS = ROOT / "tests" / "serve" / "apps" / "traps.jac"
BROKEN = "walker oops {\n    has x int;\n}\n"


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [COMMAND, "serve", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Start something that a test goes on beside."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_data_is_there_after_a_restart(tmp_path: Path) -> None:
    """Accounts, tokens and nodes."""
    server = JacServer(TODO, tmp_path)
    with server:
        token = server.register("ann")
        server.call("/walker/create_project", token, name="garden")
    with server:
        (project,) = server.call("/walker/list_projects", token).reports
        assert "garden" == project["project"]["name"]


def test_days_of_the_example_need_no_time_zone(tmp_path: Path) -> None:
    """Either moment may name one, or none."""
    with JacServer(TODO, tmp_path) as server:
        token = server.register("ann")
        for due in ("2030-01-03T00:00:00", "2030-01-03T00:00:00Z"):
            for today in ("2030-01-01T00:00:00", "2030-01-01T02:00:00+02:00"):
                days = server.call("/function/days_until", token, due=due, today=today)
                assert 2 == days.result
        assert server.call("/function/days_until", token, due="2020-01-01T00:00:00").result < 0


def test_acknowledged_writes_outlive_kill_9(tmp_path: Path) -> None:
    """Killed in the middle of a stream of increments, twice: no acknowledged one is lost."""
    server = JacServer(TRAPS, tmp_path)
    acknowledged = 0
    for _ in range(2):
        with server:
            done = threading.Event()

            def increment(server: JacServer = server, done: threading.Event = done) -> None:
                nonlocal acknowledged
                try:
                    for _ in range(1000):
                        acknowledged = server.call("/walker/increment").reports[0]
                        if acknowledged % 25 == 24:
                            done.set()
                except OSError:
                    return  # the kill

            thread = in_thread(increment)
            assert done.wait(20)
            os.killpg(server.pid, signal.SIGKILL)
            thread.join(20)
    with server:
        after = server.call("/walker/increment").reports[0]
    assert after - 1 in (acknowledged, acknowledged + 1)
    assert acknowledged >= 24


def test_ctrl_c_drains(tmp_path: Path) -> None:
    """A request in flight gets its answer, a new one is refused, the exit code is 0."""
    server = JacServer(TRAPS, tmp_path)
    with server:
        answers: list[object] = []
        slow = in_thread(lambda: answers.append(server.call("/function/nap", seconds=1.5).result))
        wait_until(lambda: server.get("/healthz/live").status == 200, within=5, what="the server")
        server.interrupt()
        wait_until(lambda: "draining" in server.log_text(), within=5, what="the drain")
        wait_until(lambda: _refused(server.port), within=5, what="a refused connection")
        slow.join(10)
        assert ["rested"] == answers
        assert 0 == server.wait_for_exit()
    assert "Traceback" not in server.log_text()


def test_sigterm_gives_up_kept_connections_with_an_answer(tmp_path: Path) -> None:
    """A request that comes while the server leaves is carried out, and told to be the last one."""
    server = JacServer(TRAPS, tmp_path)
    with server:
        kept = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        kept.request("GET", "/healthz/live")
        first = kept.getresponse()
        first.read()
        server.signal(signal.SIGTERM)
        wait_until(lambda: _refused(server.port), within=5, what="a refused connection")
        kept.request(
            "POST", "/function/nap", '{"seconds": 0}', {"Content-Type": "application/json"}
        )
        last = kept.getresponse()
        assert (200, b"rested" in last.read()) == (last.status, True)
        assert (None, "close") == (first.headers["Connection"], last.headers["Connection"])
        kept.close()
        assert 0 == server.wait_for_exit()


def test_second_ctrl_c_quits(tmp_path: Path) -> None:
    """Without waiting for a request that takes longer than anybody likes to."""
    server = JacServer(TRAPS, tmp_path)
    with server:
        begun = tmp_path / "begun"
        in_thread(lambda: _ignore_the_end(server, begun))
        wait_until(begun.exists, within=5, what="a call in flight")
        server.interrupt()
        wait_until(lambda: "draining" in server.log_text(), within=5, what="the drain")
        server.interrupt()
        assert 0 == server.wait_for_exit(within=2.5)


def test_workers_share_port_and_data(tmp_path: Path) -> None:
    """16 clients, 20 increments each, two processes: 320. A killed worker is replaced."""
    server = JacServer(TODO, tmp_path, "--workers", "2")
    with server:
        wait_until(lambda: "with 2 workers" in server.log_text(), within=20, what="both workers")
        statuses: list[int] = []

        def client() -> None:
            statuses.extend(server.call("/walker/visit_site").status for _ in range(20))

        threads = [in_thread(client) for _ in range(16)]
        for thread in threads:
            thread.join(60)
        assert [200] * 320 == statuses
        assert 321 == server.call("/walker/visit_site").reports[0]["visits"]

        victim = _children(server.pid)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda: len(_children(server.pid)) == 2 and victim not in _children(server.pid),
            within=20,
            what="a new worker",
        )
        assert 322 == server.call("/walker/visit_site").reports[0]["visits"]
        server.interrupt()
        assert 0 == server.wait_for_exit()


SECOND_IS_SLOW = """
import os;
import time;
with entry {
    try {
        file = os.open("FIRST", os.O_CREAT | os.O_EXCL | os.O_WRONLY);
        os.write(file, str(os.getpid()).encode());
        os.close(file);
    } except FileExistsError { time.sleep(60); }
}
walker:pub hi { can go with Root entry { report "hi"; } }
"""


def test_worker_that_is_killed_before_it_serves_is_replaced(tmp_path: Path) -> None:
    """The others serve already: the app is not to blame."""
    app = tmp_path / "slow.jac"
    first = tmp_path / "first"
    app.write_text(SECOND_IS_SLOW.replace("FIRST", str(first)))
    with JacServer(app, tmp_path / "served", "--workers", "2") as server:
        wait_until(lambda: len(_children(server.pid)) == 2, within=20, what="both workers")
        (slow,) = set(_children(server.pid)) - {int(first.read_text())}
        os.kill(slow, signal.SIGKILL)
        told = f"worker {slow} ended (signal 9)"
        wait_until(lambda: told in server.log_text(), within=20, what=told)
        assert ["hi"] == server.call("/walker/hi").reports


UNFIT = """
import os;
with entry {
    if os.path.exists("UNFIT") { raise RuntimeError("no more of us"); }
}
walker:pub hi { can go with Root entry { report "hi"; } }
"""


def test_reload_keeps_a_good_worker_when_another_cannot_be_replaced(tmp_path: Path) -> None:
    """There is no version before that could serve instead."""
    app, unfit = tmp_path / "unfit.jac", tmp_path / "unfit"
    app.write_text(UNFIT.replace("UNFIT", str(unfit)))
    with JacServer(app, tmp_path / "served", "--workers", "2", "--reload") as server:
        wait_until(lambda: "with 2 workers" in server.log_text(), within=20, what="both workers")
        unfit.touch()
        os.kill(_children(server.pid)[0], signal.SIGKILL)
        told = "what was served before is served on; waiting for the next save"
        wait_until(lambda: told in server.log_text(), within=20, what=told)
        assert ["hi"] == server.call("/walker/hi").reports


def test_workers_end_with_their_supervisor(tmp_path: Path) -> None:
    """Even when it is killed without a chance to tell them."""
    server = JacServer(TODO, tmp_path, "--workers", "2")
    with server:
        wait_until(lambda: "with 2 workers" in server.log_text(), within=20, what="both workers")
        workers = _children(server.pid)
        os.kill(server.pid, signal.SIGKILL)
        wait_until(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers),
            within=15,
            what="the end of the workers",
        )
        wait_until(lambda: _refused(server.port), within=5, what="a free port")


def test_walker_may_import_a_neighbour_when_it_runs(tmp_path: Path) -> None:
    """A Python file and a Jac file beside the app, wherever the command was called."""
    source = tmp_path / "source" / "late.jac"
    source.parent.mkdir()
    source.write_text(
        "walker:pub late {\n    can go with Root entry {\n        import numbers_py;\n"
        "        import from numbers_jac { six }\n"
        "        report [numbers_py.FIVE, six()];\n    }\n}\n"
    )
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "numbers_py.py").write_text("FIVE = 5\n")
    (folder / "numbers_jac.jac").write_text("def six -> int {\n    return 6;\n}\n")
    with JacServer(source, folder) as server:
        assert [[5, 6]] == server.call("/walker/late").reports


def test_port_in_use_is_an_error(tmp_path: Path) -> None:
    """It names the port and the flag, and takes no other."""
    (tmp_path / "tiny.jac").write_text("def:pub one -> int { return 1; }\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("tiny.jac", "--port", str(port), cwd=tmp_path)
    assert 1 == ended.returncode
    assert f"port {port} on 127.0.0.1" in ended.stderr
    assert "--port" in ended.stderr
    assert 1 == len(ended.stderr.splitlines())


def test_host_is_honoured(tmp_path: Path) -> None:
    """It listens there and nowhere else."""
    with JacServer(TODO, tmp_path, host="127.0.0.2") as server:
        assert not _refused(server.port, "127.0.0.2")
        assert _refused(server.port, "127.0.0.1")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["missing.jac"], 2, ["missing.jac", "no such file"], id="missing"),
        pytest.param(["broken.jac"], 1, ["broken.jac:2:11", "Expected ':'"], id="syntax"),
        pytest.param(["raises.jac"], 1, ["raises.jac", "ZeroDivisionError"], id="raises"),
        pytest.param(["notes.txt"], 2, ["notes.txt"], id="no-jac-file"),
        pytest.param(["ok.jac", "--workers", "0"], 2, ["workers"], id="no-workers"),
        pytest.param(["ok.jac", "--port", "70000"], 2, ["port"], id="no-port"),
        pytest.param(["broken.jac", "--workers", "2"], 1, ["broken.jac:2:11"], id="workers-syntax"),
    ],
)
def test_bad_input_is_told_without_a_traceback(
    tmp_path: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    """What is wrong, where, and the right exit code."""
    (tmp_path / "broken.jac").write_text(BROKEN)
    (tmp_path / "raises.jac").write_text("with entry {\n    x = 1 / 0;\n}\n")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "ok.jac").write_text("def:pub one -> int { return 1; }\n")
    if "--port" not in arguments:
        arguments = [*arguments, "--port", str(free_port())]
    ended = run(*arguments, cwd=tmp_path)
    assert code == ended.returncode, ended.stderr
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr


def test_mongodb_down_at_start_is_waited_for(tmp_path: Path) -> None:
    """It says so, serves nothing, and never falls back to the shelf."""
    with MongoServer() as mongo:
        mongo.kill9()
        env = os.environ | {"MONGODB_URI": f"{mongo.url}?serverSelectionTimeoutMS=500"}
        server = JacServer(TODO, tmp_path, env=env)
        starting = in_thread(server.start)
        try:
            wait_until(
                lambda: server.log.exists() and "waiting for MongoDB" in server.log_text(),
                within=20,
                what="the notice",
            )
            assert not (tmp_path / ".jac" / "converge" / "shelf.db").exists()
            mongo.start()
            starting.join(30)
            token = server.register("ann")
            server.call("/walker/create_project", token, name="garden")
            (project,) = server.call("/walker/list_projects", token).reports
            assert "garden" == project["project"]["name"]
            assert not (tmp_path / ".jac" / "converge" / "shelf.db").exists()
            mongo.kill9()
            answer = server.call("/walker/list_projects", token)
            assert (503, "UNAVAILABLE") == (answer.status, answer.code)
            assert answer.headers["Retry-After"]
            assert 200 == server.get("/healthz/live").status
            mongo.start()
            wait_until(
                lambda: server.call("/walker/list_projects", token).status == 200,
                within=20,
                what="the recovery",
            )
        finally:
            server.terminate()


def test_jac_offers_both_commands() -> None:
    """With the flags of the tables."""
    jac = str(Path(sys.executable).with_name("jac"))
    for command, flag in (("serve", "--workers"), ("scale", "--watch")):
        ended = subprocess.run([jac, command, "--help"], capture_output=True, text=True, check=True)
        assert flag in ended.stdout


def test_shelf_folder_is_made_beside_jac_toml(tmp_path: Path) -> None:
    """From wherever the command is called."""
    server = JacServer(TODO, tmp_path)
    with server:
        assert 200 == server.get("/healthz/ready").status
    files = {path.name for path in (tmp_path / ".jac" / "converge").iterdir()}
    assert {"shelf.db", "jwt-secret"} <= files
    mode = (tmp_path / ".jac" / "converge" / "shelf.db").stat().st_mode
    assert 0 == stat.S_IMODE(mode) & 0o077


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sorted(map(int, tasks))


def _refused(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def _ignore_the_end(server: JacServer, begun: Path) -> None:
    try:
        server.call("/function/nap", seconds=30, begun=str(begun))
    except OSError:
        return
