"""An app on real nodes, from `jac scale` on: rolled, killed, drained and scaled under load.

The load comes through the Service, from outside of the cluster, and no client tries anything twice.
What was acknowledged is looked for in the database itself, and asked of the app.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.image_places import cache
from tests.e2e.scale_command import scale_at_terminal
from tests.node.cluster import Cluster
from tests.node.deployed import Todo
from tests.node.load import Client, Load
from tests.servers.process import wait_until

pytestmark = pytest.mark.node

SCALED = """
[converge.kubernetes.autoscaling]
min_replicas = 1
max_replicas = 3
cpu_utilization_target = {target}
scale_down_window_seconds = 15
"""


@pytest.fixture(scope="module")
def todo(node_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Todo]:
    """Give the to-do list with two pods, a Redis and a database, as `jac scale` deploys it."""
    todo = Todo(node_cluster, tmp_path_factory.mktemp("todo"))
    done = todo.scale()
    print(done.out)
    todo.wait_until_it_answers()
    yield todo
    todo.destroy()


def assert_nothing_lost(todo: Todo, load: Load) -> None:
    """Everything that was acknowledged is in the database, and the app tells of it."""
    print(load.told)
    assert set() == load.acknowledged - todo.stored()
    assert set() == load.acknowledged - load.listed()


def test_pods_run_unprivileged_from_an_image_that_was_loaded(todo: Todo) -> None:
    """The pods are those of the image that was built, each as its own user, and none restarted."""
    image = todo.object("Deployment", "todo")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith("jac-converge.local/todo:sha256-")
    assert 2 == len(todo.ready())
    statuses = [
        status for pod in todo.pods().values() for status in pod["status"]["containerStatuses"]
    ]
    assert [0, 0] == [status["restartCount"] for status in statuses]
    users = [status["user"]["linux"] for status in statuses]
    assert {(10001, 10001)} == {(user["uid"], user["gid"]) for user in users}


def test_app_is_reached_on_a_port_of_this_machine(todo: Todo) -> None:
    """Through the API server, and on through another pod when one is gone."""
    with todo.scaling("--open") as opened:
        told = opened.wait_for(r"todo: http://127\.0\.0\.1:\d+/docs")
        address = re.findall(r"127\.0\.0\.1:\d+", told)[0]
        client = Client(address, keep=False)
        assert 200 == client.call("/walker/visit_site", name="a")[0]
        todo.kill("app", grace_seconds=0)
        assert [200, 200] == [client.call("/walker/visit_site", name="b")[0] for _ in range(2)]
        large = "x" * 400_000
        assert large in json.dumps(client.call("/walker/visit_site", name=large)[1])
        assert 0 == opened.end()
    todo.wait_for_pods(2)


def test_logs_of_all_pods_are_one_log(todo: Todo) -> None:
    """Those of both pods, until now and from now on."""
    names = {pod["metadata"]["name"] for pod in todo.pods().values()}
    lines = todo.scale("--logs").out.splitlines()
    assert names <= {line.partition(" | ")[0] for line in lines}
    with todo.scaling("--logs", "-f") as following:
        for name in names:
            following.wait_for(f"{name} | ")
        todo.kill("app")
        todo.wait_for_pods(2)
        (new,) = {pod["metadata"]["name"] for pod in todo.pods().values()} - names
        following.wait_for(f"{new} | ")
        assert 0 == following.end()


def test_shell_runs_in_a_pod(todo: Todo) -> None:
    """At a terminal, whose size it knows; the pod is that of the app."""
    shown = scale_at_terminal(
        *(todo.file, "--shell"),
        kubeconfig=todo.cluster.kubeconfig,
        answers={"/app $": "ls /app; busybox stty size; echo $((20 + 22))\r", "42": "exit 3\r"},
    )
    assert "todo.jac" in shown
    assert "30 100" in shown
    assert "jac scale:" not in shown


def test_load_through_the_service_loses_no_commit(todo: Todo) -> None:
    """Of kept connections and of new ones: every request goes well, and what it stored is there."""
    with todo.load() as load:
        load.go_on(60)
    assert ([], {200}) == (load.broken, set(load.statuses)), load.told
    assert_nothing_lost(todo, load)


def test_pod_that_is_deleted_fails_no_request(todo: Todo) -> None:
    """One pod goes as it wants, and another one takes its place."""
    with todo.load() as load:
        load.go_on()
        gone = todo.kill("app")
        todo.wait_for_pods(2, other_than=frozenset({gone}))
        load.go_on()
    assert ([], {200}) == (load.broken, set(load.statuses)), load.told
    assert_nothing_lost(todo, load)


def test_killed_redis_fails_no_request(todo: Todo) -> None:
    """The cache goes at once, and comes back empty; only speed depends on it."""
    with todo.load() as load:
        load.go_on()
        todo.kill("redis", grace_seconds=0)
        load.go_on()
    assert ([], {200}) == (load.broken, set(load.statuses)), load.told
    assert_nothing_lost(todo, load)


def test_killed_database_costs_503s_and_nothing_else(todo: Todo) -> None:
    """Its volume comes to the next one, with all that was acknowledged.

    Who had asked for a commit when it went is told, by a 504, that nobody knows its outcome.
    """
    volume = todo.object("PersistentVolumeClaim", "data-todo-mongodb-0")["spec"]["volumeName"]
    pods = todo.pods()
    with todo.load() as load:
        load.go_on()
        # Not 0, which lets the next one begin on the same files before this one has ended.
        todo.kill("mongodb", grace_seconds=1)
        load.go_on(40)
    assert ([], set()) == (load.broken, set(load.statuses) - {200, 503, 504}), load.told
    assert load.statuses[504] <= 4, load.told
    claim = todo.object("PersistentVolumeClaim", "data-todo-mongodb-0")
    assert volume == claim["spec"]["volumeName"]
    assert set(pods) == todo.ready()
    assert_nothing_lost(todo, load)


def test_rolling_update_fails_no_request_and_loses_no_commit(todo: Todo) -> None:
    """A changed source makes another image, and other pods, under load."""
    before = frozenset(todo.pods())
    with todo.load() as load:
        load.go_on()
        source = todo.file.read_text()
        todo.file.write_text(source.replace("hello, {self.name}", "welcome, {self.name}"))
        todo.scale()
        todo.wait_for_pods(2, other_than=before)
        load.go_on()
    assert ([], {200}) == (load.broken, set(load.statuses)), load.told
    assert_nothing_lost(todo, load)


def test_drained_node_fails_no_request(todo: Todo) -> None:
    """The node without the database is emptied; its pods start on the other one."""
    (database,) = todo.pods("mongodb").values()
    (node,) = {worker.name for worker in todo.cluster.workers} - {database["spec"]["nodeName"]}
    with todo.load() as load:
        load.go_on()
        emptied = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=200s")
        try:
            todo.cluster.kubectl("drain", node, *emptied, timeout=220)
            todo.wait_for_pods(2)
            nodes = {pod["spec"]["nodeName"] for pod in todo.pods().values()}
        finally:
            todo.cluster.kubectl("uncordon", node)
        load.go_on()
    assert {database["spec"]["nodeName"]} == nodes
    assert ([], {200}) == (load.broken, set(load.statuses)), load.told
    assert_nothing_lost(todo, load)


def test_app_runs_from_config_maps_over_the_image_of_another(todo: Todo, tmp_path: Path) -> None:
    """Where no tool loads images: a pod unpacks the files, and serves those."""
    (container,) = todo.object("Deployment", "todo")["spec"]["template"]["spec"]["containers"]
    packed = Todo(todo.cluster, tmp_path)
    packed.env = {**cache(), "PATH": os.defpath}
    packed.configure(build=f'runtime = "{container["image"]}"')
    source = packed.file.read_text()
    packed.file.write_text(source.replace("{self.name}", "{self.name}, unpacked"))
    assert "go into ConfigMaps" in packed.scale().out
    packed.wait_until_it_answers()
    answer = Client(packed.address, keep=False).call("/walker/visit_site", name="a")
    assert "a, unpacked" in json.dumps(answer[1])
    packed.destroy()


def test_load_scales_up_and_down_and_edited_targets_restart_no_pod(todo: Todo) -> None:
    """By metrics of the pods; an edit while it is watched changes the autoscaler alone."""
    todo.configure(SCALED.format(target=50))
    todo.scale()
    todo.wait_for_pods(1)
    (first,) = todo.pods()
    with todo.scaling("--watch") as watching:
        watching.wait_for("Deployment/todo: ready")
        with todo.load(clients=6, pause=0.02) as much:
            todo.wait_for_pods(3)
            three = set(todo.pods())
            assert first in three
            todo.configure(SCALED.format(target=80))
            watching.wait_for("HorizontalPodAutoscaler/todo configured")
            wait_until(lambda: target_of(todo) == 80, within=20, what="the new target")
            much.go_on()
            assert three == set(todo.pods())
        with todo.load(clients=2, pause=1.0) as little:
            todo.wait_for_pods(1)
            little.go_on(4)
        assert set(todo.pods()) < three
        assert 0 == watching.end()
    for load in (much, little):
        assert ([], {200}) == (load.broken, set(load.statuses)), load.told
        assert_nothing_lost(todo, load)


def target_of(todo: Todo) -> int:
    """The percentage that the autoscaler aims at."""
    (metric,) = todo.object("HorizontalPodAutoscaler", "todo")["spec"]["metrics"]
    target: int = metric["resource"]["target"]["averageUtilization"]
    return target
