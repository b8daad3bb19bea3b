"""What many apps in one process cost beside one: `make bench-many-apps`.

Each has 15 objects, on a real API server whose controllers are off: what is measured is the watch,
not their roll-outs. Memory and processor time by /proc (Linux); heals are seen by a watch that is
not the project's own.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from benchmarks.idle import cpu_seconds, rss_bytes
from tests.cluster.foreign_edits import Edit, heal_seconds, path_of
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane
from tests.servers.process import wait_until

CONFIGURATION = """
[converge.kubernetes]
app_name = "{name}"
namespace = "{namespace}"
image = "example/shop:1"
extra = ["k8s.yaml"]

[converge.kubernetes.redis]
enabled = false

[converge.kubernetes.mongodb]
enabled = false
"""
MANIFEST = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}-{number}}}\n"
OBJECTS = 15
OF_AN_APP = 7
"""Objects that an app without stores has by itself, in a namespace that is there."""

HEALED = 40
EDIT = Edit(title="delete", kind="Service", name="{app}", change=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was measured with one number of apps."""

    apps: int
    start: float
    """Seconds until every object of every app was there."""
    rss: int
    """Bytes."""
    cpu: float
    """Percent of one processor while nothing happens."""
    heals: tuple[float, ...]
    """Seconds."""


def main() -> int:
    """Run it; the exit code is 1 when something was never put back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apps", type=int, default=500)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds to measure")
    given = parser.parse_args()
    costs = [_measure(apps, given.idle) for apps in (1, given.apps)]
    one, many = costs
    print(f"{'apps':>6} {'start s':>8} {'RSS MiB':>8} {'idle CPU %':>11} {'heal p50 ms':>12}")
    for cost in costs:
        p50 = statistics.median(cost.heals) * 1000
        print(
            f"{cost.apps:6} {cost.start:8.1f} {cost.rss / 2**20:8.0f} {cost.cpu:11.2f} {p50:12.1f}"
        )
    each = (many.rss - one.rss) / max(1, many.apps - one.apps) / 2**10
    ratio = statistics.median(many.heals) / statistics.median(one.heals)
    print(f"each further app: {each:.0f} KiB; ratio of the medians of a heal: {ratio:.2f}")
    return 0 if all(len(cost.heals) == HEALED for cost in costs) else 1


def _measure(apps: int, seconds: float) -> Cost:
    with ControlPlane() as server, tempfile.TemporaryDirectory() as folder:
        namespace = server.new_namespace()
        names = [f"app-{number}" for number in range(apps)]
        for name in names:
            _write(Path(folder) / name, name, namespace)
        started = time.monotonic()
        with _watching(server, folder) as process:
            deployments = path_of("Deployment", namespace)
            _wait_for(server.api, deployments, apps)
            _wait_for(server.api, path_of("ConfigMap", namespace), apps * (OBJECTS - OF_AN_APP))
            start = time.monotonic() - started
            # What comes with the start, such as the first look at statuses, is no idleness.
            time.sleep(10)
            used, since = cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            cpu = (cpu_seconds(process.pid) - used) / (time.monotonic() - since) * 100
            rss = rss_bytes(process.pid)
            heals = tuple(_heals(server.api, names, namespace))
    return Cost(apps=apps, start=start, rss=rss, cpu=cpu, heals=heals)


def _heals(api: Api, names: list[str], namespace: str) -> Iterator[float]:
    chosen = random.Random(7).choices(names, k=HEALED)  # noqa: S311 - a fixed order
    for name in chosen:
        # Past the window in which causes are gathered: this measures latency, not a storm.
        time.sleep(0.1)
        took = heal_seconds(api, EDIT, app=name, namespace=namespace, manager="somebody")
        if took is not None:
            yield took


def _write(folder: Path, name: str, namespace: str) -> None:
    folder.mkdir()
    (folder / "main.jac").write_text('walker hi { can go with entry { report "hi"; } }\n')
    (folder / "jac.toml").write_text(CONFIGURATION.format(name=name, namespace=namespace))
    extra = (MANIFEST.format(name=name, number=n) for n in range(OBJECTS - OF_AN_APP))
    (folder / "k8s.yaml").write_text("".join(extra))


def _wait_for(api: Api, path: str, count: int) -> None:
    def all_there() -> bool:
        time.sleep(0.2)  # a list of thousands is work for the server that is measured
        return len(api.get(path)["items"]) >= count

    wait_until(all_there, within=900, what=f"{count} objects at {path}")


@contextmanager
def _watching(server: ControlPlane, folder: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "jac_converge", "scale", folder, "--watch", "--json"]
    environment = {**os.environ, "KUBECONFIG": str(server.kubeconfig)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    # A pipe that nobody empties would stop the process at its next line.
    Thread(target=process.stdout.read, daemon=True).start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    sys.exit(main())
