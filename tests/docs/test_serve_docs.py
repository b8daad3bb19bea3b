"""Every shell block of the serve tutorial and of the example's README runs as it is written."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.process import free_port

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "serve.md"
EXAMPLES = ROOT / "examples"


def blocks(file: Path) -> list[str]:
    """Return the shell blocks of a page."""
    return re.findall(r"^```sh\n(.*?)^```", file.read_text(), re.MULTILINE | re.DOTALL)


def run(script: str, folder: Path) -> str:
    """Run a script the way a reader would, with this environment's commands; returns its output."""
    port = str(free_port())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # `set -m`: job control as in a terminal, so that Ctrl-C reaches background jobs.
    text = "set -euo pipefail -m\n" + script.replace("8000", port)
    shell = subprocess.Popen(
        ["bash", "-c", text],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=90)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    assert 0 == shell.returncode, output
    return output


def run_example(name: str, folder: Path) -> str:
    """Start the server of an example, and do what its README says; returns the output."""
    for file in (f"{name}.jac", "jac.toml"):
        shutil.copy(EXAMPLES / name / file, folder)
    serve, *rest = blocks(EXAMPLES / name / "README.md")
    start = (
        f"{serve.strip()} --port 8000 &\n"
        "until curl -sf localhost:8000/healthz/ready >/dev/null; do sleep 0.1; done\n"
    )
    return run(start + "\n".join(rest) + "\nkill -INT %1; wait\n", folder)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")
def test_tutorial_runs_as_written(tmp_path: Path) -> None:
    """All but the installation, which is this environment's."""
    install, *rest = blocks(TUTORIAL)
    assert "pip install jac-converge" in install
    output = run("\n".join(rest), tmp_path)
    assert '"result":42' in output
    assert '"code":"VALIDATION_ERROR"' in output
    assert '"n":5' in output
    assert '"n":6' in output


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")
def test_example_readme_runs_as_written(tmp_path: Path) -> None:
    """Start the server, then each call."""
    output = run_example("todo", tmp_path)
    assert '"greeting":"hello, ann"' in output
    assert '"reminders":0' in output
    assert '"spent_hours":2.5' in output
    assert '"ok":false' not in output


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")
def test_chat_runs_as_written(tmp_path: Path) -> None:
    """Two talk, and what they said is read out."""
    output = run_example("chat", tmp_path)
    assert 'ann is answered {"ok":true,"type":"response"' in output
    assert 'bob hears {"ok":true,"type":"broadcast"' in output
    assert 'data: "ann: is anybody here?"' in output
    assert "event: end" in output


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page uses openssl")
def test_payments_run_as_written(tmp_path: Path) -> None:
    """A signed message counts once, and the job has added it up."""
    output = run_example("payments", tmp_path)
    assert '"reports":[{"new":true}]' in output
    assert '"code":"ALREADY_RECEIVED"' in output
    assert '"reports":[{"amount":1250,"payments":1}]' in output
