"""An app on real nodes, from `jac scale` on: rolled, killed and drained under load.

The load comes through the Service, from outside of the cluster, and no client tries anything twice.
What was acknowledged is looked for in the database itself, and asked of the app.
"""

from collections.abc import Iterator

import pytest

from tests.node.cluster import Cluster
from tests.node.deployed import Todo
from tests.node.load import Load

pytestmark = pytest.mark.node


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
    assert {10001} == {status["user"]["linux"]["uid"] for status in statuses}


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
