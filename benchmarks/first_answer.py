"""From `jac scale` to the first answer through the Service, on real nodes, and where the time went.

The to-do list with two pods, a Redis and a database, into an empty namespace; what this machine
built before is taken as it is. Then one line of its code is changed: until the new pods have taken
over. Needs what `make test-node` needs.
"""

import http.client
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.node.cluster import Cluster
from tests.node.deployed import Todo
from tests.node.load import Client
from tests.servers.api import ApiFailed

__all__: list[str] = []

KUBECTL = Path(__file__).parents[1] / ".venv" / "bin" / "kubectl"
LIMIT = 3.0
"""s from the start of a container to its first 200 of the readiness probe."""
PATIENCE = 300.0

type Step = tuple[str, Callable[[], bool]]


def main() -> int:
    """Measure and print; exit code 1 if the limit is missed."""
    with (
        Cluster(KUBECTL) as cluster,
        tempfile.TemporaryDirectory(prefix="first-answer-") as folder,
    ):
        print("two nodes up:", ", ".join(f"{k} {v:.1f}" for k, v in cluster.seconds.items()))
        todo = Todo(cluster, Path(folder))
        plan = todo.plan()
        print(next(line.strip() for line in plan.splitlines() if "image of" in line))
        with todo.scaling() as command:
            steps = measured(_of_a_fresh_namespace(todo, lambda: command.text))
            command.wait(120)
        printed("jac scale, into an empty namespace", steps)
        before = frozenset(todo.pods())
        todo.file.write_text(todo.file.read_text().replace("hello, {", "welcome, {"))
        with todo.scaling() as command:
            again = measured(_of_a_change(todo, before, lambda: command.text))
            command.wait(120)
        printed("jac scale, after a change of one line", again)
        todo.destroy()
    start = dict(steps)["containers ready"]
    print(f"container start to ready {start:.1f} s (limit {LIMIT:.0f} s)")
    return int(start > LIMIT)


def measured(steps: Iterator[Step]) -> list[tuple[str, float]]:
    """Wait for one step after the other, and tell how long each took, in s."""
    found, began = [], time.monotonic()
    for name, reached in steps:
        deadline = began + PATIENCE
        while not reached():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name}: not within {PATIENCE:.0f} s")
            time.sleep(0.03)
        now = time.monotonic()
        found.append((name, now - began))
        began = now
    return found


def printed(title: str, steps: list[tuple[str, float]]) -> None:
    """Print a table."""
    print(f"{title}: {sum(seconds for _, seconds in steps):.1f} s")
    for name, seconds in steps:
        print(f"  {name:28} {seconds:6.1f} s")


def _of_a_fresh_namespace(todo: Todo, told: Callable[[], str]) -> Iterator[Step]:
    yield "plan, and image", lambda: "loading" in told()
    yield "image loaded into two nodes", lambda: any(map(todo.pods, ("redis", "mongodb")))
    yield "Redis and database ready", lambda: all(map(todo.ready, ("redis", "mongodb")))
    yield "pods created", lambda: len(todo.pods()) == 2
    yield "pods scheduled", lambda: _all(todo, lambda pod: "nodeName" in pod["spec"])
    yield "containers started", lambda: _all(todo, _started)
    yield "containers ready", lambda: set(todo.pods()) == todo.ready()
    yield "first 200 through the Service", lambda: _answers(todo)


def _of_a_change(todo: Todo, before: frozenset[str], told: Callable[[], str]) -> Iterator[Step]:
    yield "plan, and image", lambda: "loading" in told()
    yield "image loaded into two nodes", lambda: bool(set(todo.pods()) - before)
    yield "first new pod ready", lambda: bool(todo.ready() - before)
    yield "both old pods asked to leave", lambda: not set(todo.pods()) & before


def _all(todo: Todo, holds: Callable[[dict[str, Any]], bool]) -> bool:
    return all(map(holds, todo.pods().values()))


def _started(pod: dict[str, Any]) -> bool:
    status = pod["status"]
    statuses = status.get("containerStatuses", [])
    return bool(statuses) and all("running" in it["state"] for it in statuses)


def _answers(todo: Todo) -> bool:
    try:
        status, _ = Client(todo.address, keep=False).call("/walker/visit_site", name="somebody")
    except (OSError, http.client.HTTPException, ApiFailed):
        return False
    return status == 200


if __name__ == "__main__":
    raise SystemExit(main())
