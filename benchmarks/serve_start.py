"""How long `jac serve` takes from start to its first 200, warm, against bare imports.

Paired: each round measures both, in turn, so that whatever the machine does falls on both. The
floor is a Python that imports jaclang, fastapi and uvicorn and ends. Also prints the resident
memory of the idle worker.
"""

import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__: list[str] = []

ROUNDS = 15
TODO = Path(__file__).parents[1] / "examples" / "todo"
FLOOR = "import jaclang, jaclang.runtimelib.context, fastapi, uvicorn"
LIMIT_RATIO, LIMIT_RSS = 1.5, 97.0


def main() -> int:
    """Measure and print; exit code 1 if a limit is missed."""
    with tempfile.TemporaryDirectory(prefix="serve-start-") as folder:
        app = Path(folder, "todo")
        shutil.copytree(TODO, app, ignore=shutil.ignore_patterns(".jac"))
        _start(app)  # compiles
        floors, starts, sizes = [], [], []
        for _ in range(ROUNDS):
            floors.append(_floor(app))
            seconds, size = _start(app)
            starts.append(seconds)
            sizes.append(size)
    ratios = [start / floor for start, floor in zip(starts, floors, strict=True)]
    ratio, size = statistics.median(ratios), max(sizes)
    print(f"imports of jaclang, fastapi, uvicorn   {statistics.median(floors) * 1000:7.0f} ms")
    print(f"jac serve, start to first 200          {statistics.median(starts) * 1000:7.0f} ms")
    print(f"paired ratio, median of {ROUNDS}             {ratio:7.2f}    (at most {LIMIT_RATIO})")
    print(f"resident memory of the idle worker     {size:7.1f} MiB (at most {LIMIT_RSS:.0f})")
    return int(ratio > LIMIT_RATIO or size > LIMIT_RSS)


def _floor(folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", FLOOR], cwd=folder, check=True)
    return time.perf_counter() - began


def _start(folder: Path) -> tuple[float, float]:
    """Return seconds to the first 200 of a walker, and MiB of the server some requests later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("jac")), "serve", "todo.jac", "--port", str(port)]
    began = time.perf_counter()
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                _call(port)
                break
            except OSError:
                if server.poll() is not None:
                    raise SystemExit("jac serve ended") from None
                time.sleep(0.002)
        seconds = time.perf_counter() - began
        pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
        return seconds, pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    finally:
        server.terminate()
        server.wait()


def _call(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/walker/visit_site")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200


if __name__ == "__main__":
    sys.exit(main())
