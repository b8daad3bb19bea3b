"""The seam to the API server, against a real one."""

from threading import Thread

import pytest
import urllib3

from jac_converge.reconciler.drift import taken_over
from jac_converge.reconciler.errors import (
    Conflict,
    Gone,
    Immutable,
    Invalid,
    NoCluster,
    Refused,
    Unreachable,
)
from jac_converge.reconciler.kube_cluster import USUAL, KubeCluster, Limits, connect
from jac_converge.reconciler.objects import Object, kind_named
from jac_converge.reconciler.ownership import FIELD_MANAGER, labels_of, selector_of
from jac_converge.reconciler.position import Bookmark, Changed
from tests.servers.control_plane import ControlPlane

CONFIG_MAP = kind_named("ConfigMap")


def config_map(name: str = "shop", **data: str) -> Object:
    """A small object of ours."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels_of("shop", "app")},
        "data": data,
    }


def open_cluster(
    server: ControlPlane, namespace: str, *, limits: Limits = USUAL, **kubeconfig: str
) -> KubeCluster:
    """Pin the test's cluster."""
    return connect(
        context=None,
        namespace=namespace,
        selector=selector_of("shop"),
        config_file=kubeconfig.get("config_file", str(server.kubeconfig)),
        limits=limits,
    )


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> KubeCluster:
    """The seam, on a namespace of its own."""
    return open_cluster(control_plane, namespace)


def test_apply_creates_then_leaves_alone(cluster: KubeCluster) -> None:
    """The second apply of the same object writes nothing."""
    first = cluster.apply(config_map(color="red"))
    second = cluster.apply(config_map(color="red"))
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


def test_apply_stores_every_character_as_it_is(cluster: KubeCluster) -> None:
    """An apply is read as YAML, which knows no surrogates and has line ends of its own."""
    text = "\N{PARTY POPPER} grüße \x00\t\x1b\x7f\x85\u2028\u2029\ufeff\uffff \\\\ud83c \r\n"
    answer = cluster.apply(config_map(text=text))
    again = cluster.apply(config_map(text=text))
    assert ({"text": text}, answer) == (answer["data"], again)


def test_apply_only_tries_when_dry(cluster: KubeCluster) -> None:
    """A dry run answers what would be, and changes nothing."""
    answer = cluster.apply(config_map(color="red"), dry_run=True)
    assert ({"color": "red"}, None) == (answer["data"], cluster.get(CONFIG_MAP, "shop"))


def test_apply_refuses_another_uid(cluster: KubeCluster) -> None:
    """An object that was replaced meanwhile is not overwritten."""
    obj = config_map(color="red")
    cluster.apply(obj)
    stranger = {
        **obj,
        "metadata": {**obj["metadata"], "uid": "00000000-0000-4000-8000-000000000000"},
    }
    with pytest.raises(Conflict):
        cluster.apply(stranger)


def test_apply_tells_an_unknown_field_from_a_broken_server(cluster: KubeCluster) -> None:
    """The server answers 500, which is not to be retried."""
    with pytest.raises(Invalid, match="field not declared in schema"):
        cluster.apply({**config_map(), "colour": "red"})


def test_apply_tells_a_value_of_another_type_from_a_broken_server(cluster: KubeCluster) -> None:
    """The server answers that with a 500 too, and no second try would help."""
    with pytest.raises(Invalid, match="expected string"):
        cluster.apply({**config_map(), "data": {"a": 1}})


def test_apply_tells_an_immutable_field(cluster: KubeCluster) -> None:
    """A fixed ConfigMap cannot be changed in place."""
    cluster.apply({**config_map(color="red"), "immutable": True})
    with pytest.raises(Immutable):
        cluster.apply({**config_map(color="blue"), "immutable": True})


def test_create_conflicts_when_it_is_there(cluster: KubeCluster) -> None:
    """Two that create the same object: one wins."""
    cluster.create(config_map())
    with pytest.raises(Conflict):
        cluster.create(config_map())


def test_list_returns_every_page_of_ours_only(control_plane: ControlPlane, namespace: str) -> None:
    """More objects than a page holds are all found; a stranger's are not."""
    cluster = open_cluster(control_plane, namespace, limits=Limits(page=2))
    for number in range(5):
        cluster.apply(config_map(f"shop-{number}"))
    cluster.apply({**config_map("other"), "metadata": {"name": "other"}})
    listed = cluster.list_kind(CONFIG_MAP)
    assert {f"shop-{n}" for n in range(5)} == {obj["metadata"]["name"] for obj in listed.items}
    assert {"ConfigMap"} == {obj["kind"] for obj in listed.items}


def test_delete_takes_only_this_object(cluster: KubeCluster) -> None:
    """A successor of the same name stays."""
    old = cluster.apply(config_map())
    cluster.delete(old)
    new = cluster.apply(config_map())
    with pytest.raises(Conflict):
        cluster.delete(old)
    found = cluster.get(CONFIG_MAP, "shop")
    assert found is not None
    assert new["metadata"]["uid"] == found["metadata"]["uid"]


def test_delete_is_satisfied_when_it_is_gone(cluster: KubeCluster) -> None:
    """What should not be there, and is not, is no error."""
    old = cluster.apply(config_map())
    cluster.delete(old)
    cluster.delete(old)
    assert cluster.get(CONFIG_MAP, "shop") is None


def test_watch_yields_what_happens(cluster: KubeCluster) -> None:
    """Events come in order, typed, with whole objects."""
    version = cluster.list_kind(CONFIG_MAP).version
    obj = cluster.apply(config_map(color="red"))
    cluster.apply(config_map(color="blue"))
    cluster.delete(obj)
    stream = cluster.watch(CONFIG_MAP, version, seconds=2)
    seen = [
        (event.type, event.obj["data"]["color"]) for event in stream if isinstance(event, Changed)
    ]
    assert [("ADDED", "red"), ("MODIFIED", "blue"), ("DELETED", "blue")] == seen


def test_watch_ends_from_another_thread(cluster: KubeCluster) -> None:
    """A quiet stream is closed at once, so Ctrl-C does not wait."""
    stream = cluster.watch(CONFIG_MAP, cluster.list_kind(CONFIG_MAP).version, seconds=60)
    seen: list[Changed | Bookmark] = []
    reader = Thread(target=lambda: seen.extend(stream))
    reader.start()
    stream.close()
    reader.join(5)
    assert (False, []) == (reader.is_alive(), seen)


def test_watch_raises_gone_when_history_was_compacted(own_control_plane: ControlPlane) -> None:
    """A version that the server forgot ends in a Gone, whichever way the server says it."""
    cluster = open_cluster(own_control_plane, own_control_plane.new_namespace())
    version = cluster.list_kind(CONFIG_MAP).version
    for number in range(5):
        cluster.apply(config_map(color=str(number)))
    own_control_plane.compact()
    own_control_plane.kill_apiserver()
    own_control_plane.start_apiserver()
    with pytest.raises(Gone):
        list(cluster.watch(CONFIG_MAP, version, seconds=5))


def test_watch_tells_a_dead_peer(control_plane: ControlPlane, namespace: str) -> None:
    """A connection that stays mute is not waited for, whatever the server promised."""
    limits = Limits(silence=urllib3.Timeout(connect=1, read=0.3))
    cluster = open_cluster(control_plane, namespace, limits=limits)
    stream = cluster.watch(CONFIG_MAP, cluster.list_kind(CONFIG_MAP).version, seconds=60)
    with pytest.raises(Unreachable, match="no word"):
        list(stream)


def test_requests_become_unreachable_when_the_server_dies(
    own_control_plane: ControlPlane,
) -> None:
    """Without a server, the error says which one, and what to look at."""
    cluster = open_cluster(own_control_plane, own_control_plane.new_namespace())
    own_control_plane.kill_apiserver()
    with pytest.raises(Unreachable, match="is the cluster running"):
        cluster.get(CONFIG_MAP, "shop")


def test_requests_without_permission_are_refused(
    control_plane: ControlPlane, namespace: str
) -> None:
    """The server's words name the verb and the resource."""
    cluster = open_cluster(
        control_plane, namespace, config_file=str(control_plane.kubeconfig_for("nobody"))
    )
    with pytest.raises(Refused, match='cannot list resource "configmaps"'):
        cluster.list_kind(CONFIG_MAP)


def test_connect_lists_the_contexts_when_there_is_no_such(control_plane: ControlPlane) -> None:
    """A typo in the context is answered with the names that exist."""
    with pytest.raises(NoCluster, match="as one of: test"):
        connect(
            context="prodd",
            namespace="shop",
            selector=selector_of("shop"),
            config_file=str(control_plane.kubeconfig),
        )


def test_requests_keep_to_the_pace_and_watches_do_not(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Reads and writes take a token each; a watch, which stays open, takes none."""
    asked: list[str] = []
    limits = Limits(pace=lambda: asked.append("token"))
    cluster = open_cluster(control_plane, namespace, limits=limits)
    cluster.apply(config_map("one"))
    version = cluster.list_kind(CONFIG_MAP).version
    cluster.watch(CONFIG_MAP, version, 1).close()
    assert cluster.get(CONFIG_MAP, "one") is not None
    assert ["token"] * 3 == asked


def test_patch_ownership_minds_only_the_entries_that_it_changes(
    control_plane: ControlPlane, cluster: KubeCluster
) -> None:
    """Another writer's own entry may come in between; a change of the one we take may not."""
    api, path = control_plane.api, f"/api/v1/namespaces/{cluster.target.namespace}/configmaps/shop"
    cluster.apply(config_map(color="red"))
    api.patch(f"{path}?fieldManager=rival", {"data": {"size": "1"}})
    read = cluster.get(CONFIG_MAP, "shop")
    assert read is not None
    api.patch(f"{path}?fieldManager=third", {"metadata": {"annotations": {"a": "1"}}})
    written = cluster.patch_ownership(read, taken_over(read))
    managers = {entry["manager"] for entry in written["metadata"]["managedFields"]}
    assert {FIELD_MANAGER, "third"} == managers
    api.patch(f"{path}?fieldManager=rival", {"data": {"size": "2"}})
    read = cluster.get(CONFIG_MAP, "shop")
    assert read is not None
    api.patch(f"{path}?fieldManager=rival", {"data": {"shape": "round"}})
    with pytest.raises(Invalid):
        cluster.patch_ownership(read, taken_over(read))
