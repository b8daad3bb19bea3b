"""The two front doors: light, and one of them without jaclang."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jac_converge.app_runtime.flags import SERVE_FLAGS
from jac_converge.config.flags import add_flags
from tests.servers.process import free_port

DOOR = "import sys; from jac_converge.__main__ import main; sys.exit(main(sys.argv[1:]))"
WITHOUT_JACLANG = """
import sys
sys.modules["jaclang"] = None
from jac_converge.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
ON_WINDOWS = """
import sys
import jac_converge.app_runtime.cli
from jac_converge.__main__ import main
sys.platform = "win32"
sys.exit(main(sys.argv[1:]))
"""
LOADED = """
import json, sys
before = set(sys.modules)
import jac_converge.plugin
import jac_converge.app_runtime.flags, jac_converge.reconciler.flags
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_scale_runs_where_no_jaclang_is_importable() -> None:
    """`--help` and a real error of its own."""
    ended = run(WITHOUT_JACLANG, "scale", "--help")
    assert (0, "") == (ended.returncode, ended.stderr)
    assert "--watch" in ended.stdout
    ended = run(WITHOUT_JACLANG, "scale", "missing.jac", "--plan")
    assert 2 == ended.returncode
    assert "missing.jac" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["serve", "scale"])
def test_unknown_flag_is_told_with_the_flags_there_are(command: str) -> None:
    """Those of the command, not those of the program."""
    ended = run(DOOR, command, "app.jac", "--bogus")
    assert 2 == ended.returncode
    assert f"usage: jac-converge {command} [-h]" in ended.stderr
    assert "unrecognized arguments: --bogus" in ended.stderr


def test_serve_says_what_it_needs_when_there_is_no_jaclang(tmp_path: Path) -> None:
    """Instead of a traceback of imports."""
    (tmp_path / "app.jac").write_text("")
    ended = run(WITHOUT_JACLANG, "serve", str(tmp_path / "app.jac"), "--port", str(free_port()))
    assert 1 == ended.returncode
    assert "jaclang is not installed here; pip install" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_serve_names_wsl_on_windows(tmp_path: Path) -> None:
    """Workers take over the sockets of their parent, and files are opened from their folder on."""
    (tmp_path / "app.jac").write_text("")
    ended = run(ON_WINDOWS, "serve", str(tmp_path / "app.jac"))
    assert (2, "") == (ended.returncode, ended.stdout)
    assert "on Windows, run it in WSL" in ended.stderr


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("walker hi { can go with entry { report 1; } }", 0, "1 walkers and 0 functions"),
        ("walker hi {", 1, "does not compile"),
    ],
)
def test_check_tells_whether_the_app_loads(
    tmp_path: Path, source: str, code: int, words: str
) -> None:
    """With a jac.toml whose variables are not set, as where an image is built."""
    (tmp_path / "app.jac").write_text(source)
    (tmp_path / "jac.toml").write_text('[converge.database]\nmongodb_uri = "${NOT_SET}"\n')
    ended = run(DOOR, "serve", str(tmp_path / "app.jac"), "--check")
    assert (code, True) == (ended.returncode, words in ended.stdout + ended.stderr), ended


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[converge.server]\nport = 0.5", "must be a whole number"),
        ("[converge.databases]", "did you mean `database`?"),
        ('[converge.database]\nmongodb_uri = "${NOT SET}"', "has a ${ without a name"),
        ('[converge.server]\nhost = "${NOT_SET}"\nport = 0.5', "must be a whole number"),
    ],
)
def test_check_refuses_what_serving_would(tmp_path: Path, table: str, words: str) -> None:
    """An image with it would be of no use."""
    (tmp_path / "app.jac").write_text("walker hi { can go with entry { report 1; } }")
    (tmp_path / "jac.toml").write_text(f"{table}\n")
    ended = run(DOOR, "serve", str(tmp_path / "app.jac"), "--check")
    assert (2, True) == (ended.returncode, words in ended.stderr), ended


@pytest.mark.parametrize(
    ("decorator", "table", "words"),
    [
        ('@schedule(cron="99 * * * *")', "", "@schedule of hi"),
        ('@restspec(path="/user/login")', "", "a path of the server's own"),
        (
            "@restspec(protocol=APIProtocol.WEBSOCKET, broadcast=True)",
            "[converge.server]\nworkers = 2",
            "hi broadcasts, and 2 workers hear of each other by a Redis alone",
        ),
        ("", '[converge.database]\nmongodb_uri = "mongodb://here:99999"', "Port must be"),
        ("", '[converge.database]\nredis_url = "redis://here:port"', "Redis open failed"),
        ("", '[converge.server.roles]\nho = ["admin"]', "no walker or function of the app"),
    ],
)
def test_check_refuses_what_would_end_the_start(
    tmp_path: Path, decorator: str, table: str, words: str
) -> None:
    """As the server would say it, and nothing is left beside the app."""
    (tmp_path / "app.jac").write_text(
        f"{decorator}\nwalker hi {{ can go with Root entry {{ report 1; }} }}"
    )
    (tmp_path / "jac.toml").write_text(f"{table}\n")
    ended = run(DOOR, "serve", str(tmp_path / "app.jac"), "--check")
    assert (1, True) == (ended.returncode, words in ended.stderr), ended
    assert {"app.jac", "jac.toml"} >= {path.name for path in tmp_path.iterdir()} - {".jac"}
    assert not list(tmp_path.rglob("jwt-secret")) + list(tmp_path.rglob("shelf.db"))


def test_check_asks_for_no_secret(tmp_path: Path) -> None:
    """Nobody has them where an image is built."""
    (tmp_path / "app.jac").write_text(
        "@restspec(protocol=APIProtocol.WEBHOOK)\n"
        "walker hi { can go with Root entry { report 1; } }"
    )
    (tmp_path / "jac.toml").write_text('[converge.webhooks.hi]\nsecret = "${NOT_SET}"\n')
    ended = run(DOOR, "serve", str(tmp_path / "app.jac"), "--check")
    assert (0, "") == (ended.returncode, ended.stderr), ended


def test_image_calls_the_command_as_it_is() -> None:
    """Nothing else looks at the flags in the Dockerfile before somebody builds it."""
    lines = (Path(__file__).parents[2] / "Dockerfile").read_text().splitlines()
    (check,) = (line.removeprefix("RUN serve ").split() for line in lines if "RUN serve " in line)
    (start,) = (json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD "))
    for flags in (check, start):
        parser = argparse.ArgumentParser(exit_on_error=False)
        add_flags(parser, SERVE_FLAGS)
        assert parser.parse_args(["app.jac", *flags])


def test_plugin_imports_nothing_of_weight() -> None:
    """Every `jac` command pays for it."""
    loaded = json.loads(run(LOADED).stdout)
    ours = {name for name in loaded if name.startswith("jac_converge")}
    expected = {
        "jac_converge",
        "jac_converge.app_runtime",
        "jac_converge.app_runtime.flags",
        "jac_converge.config",
        "jac_converge.config.flags",
        "jac_converge.plugin",
        "jac_converge.reconciler",
        "jac_converge.reconciler.flags",
    }
    assert expected == ours
    heavy = {"fastapi", "kubernetes", "pydantic", "uvicorn", "jaclang", "rich", "pymongo"}
    assert set() == heavy & set(loaded)
