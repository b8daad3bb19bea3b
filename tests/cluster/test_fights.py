"""A rival that changes a field back as often as it is healed, on a real API server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from jac_converge.reconciler.fights import HEALS
from jac_converge.reconciler.objects import Object
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
replicas = {replicas}
[converge.database]
mongodb_uri = "mongodb://elsewhere/shop"
redis_url = "redis://elsewhere"
"""


@contextmanager
def rival(api: Api, collection: str, patch: dict[str, Any]) -> Iterator[None]:
    """Write a patch into the object `shop` as often as somebody undoes it."""
    stop = Event()
    version = api.get(collection)["metadata"]["resourceVersion"]

    def insist() -> None:
        path = f"{collection}/shop?fieldManager=rival"
        api.patch(path, patch)
        with api.watch(collection, version=version, timeout=300) as watch:
            watches.append(watch)
            for event in watch:
                if stop.is_set():
                    return
                if not holds(event["object"], patch):
                    api.patch(path, patch)

    watches: list[Any] = []
    thread = Thread(target=insist, name="rival")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        for watch in watches:
            watch.interrupt()
        thread.join(10)
        assert not thread.is_alive()


def holds(obj: Object, patch: dict[str, Any]) -> bool:
    """Whether an object is as the patch makes it."""
    return all(obj["spec"][name] == value for name, value in patch["spec"].items())


def told(running: RunningLoop, text: str) -> list[str]:
    """The messages with a text in them."""
    return [message for message in running.view.messages if text in message]


@pytest.mark.parametrize(
    ("patch", "line"),
    [
        pytest.param(
            {"spec": {"replicas": 5}},
            "Deployment/shop:spec.replicas manager=rival",
            id="a field",
        ),
        pytest.param(
            {
                "spec": {
                    "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "targetPort": 8000}]
                }
            },
            "Service/shop:spec.ports manager=rival",
            id="the key of an item",
        ),
    ],
)
def test_loop_gives_in_to_a_rival_and_says_so(
    cluster_with_controllers: ControlPlane,
    unused_namespace: str,
    tmp_path: Path,
    patch: dict[str, Any],
    line: str,
) -> None:
    """After three heals the rival's value stays, until jac.toml changes."""
    api, ns = cluster_with_controllers.api, unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns, replicas=2))
    collection = path_of(line.partition("/")[0], ns)
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        with rival(api, collection, patch):
            wait_until(lambda: len(told(running, f'ignore = ["{line}"]')) == 1)
            wait_until(lambda: any((line,) == row.left for row in running.view.rows))
            assert HEALS <= sum(heal.who == "rival" for heal in running.view.heals)
            write_app(tmp_path, TOML.format(namespace=ns, replicas=3))
            wait_until(lambda: len(told(running, f'ignore = ["{line}"]')) == 2)
            wait_until(lambda: holds(api.get(f"{collection}/shop"), patch))
            wait_until(lambda: any((line,) == row.left for row in running.view.rows))
            assert HEALS * 2 <= sum(heal.who == "rival" for heal in running.view.heals)
