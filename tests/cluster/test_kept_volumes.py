"""What becomes of a database's data that the app's labels do not show, or that no workload has."""

from collections.abc import Iterator

import pytest

from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import wait_until
from tests.cluster.shop_with_volume import CLAIM, FIXED, POD, STORE, Shop
from tests.cluster.test_permissions import READ, WRITTEN, allow
from tests.e2e.scale_command import Done, run_scale
from tests.servers.control_plane import ControlPlane

NAMESPACE = "kept"
KEPT = "the database on its volume knows no other"


@pytest.fixture(scope="module")
def shop(
    cluster_with_controllers: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """An app in a namespace that was there before, and stays."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    cluster_with_controllers.api.post("/api/v1/namespaces", namespace)
    yield Shop(cluster_with_controllers, NAMESPACE, tmp_path_factory.mktemp("kept"), FIXED)
    cluster_with_controllers.api.delete(f"/api/v1/namespaces/{NAMESPACE}")


def scale(shop: Shop, *flags: str) -> Done:
    """Run the command."""
    return run_scale(shop.file, *flags, kubeconfig=shop.kubeconfig)


def names(shop: Shop, kind: str) -> set[str]:
    """What there is of a kind."""
    path = path_of(kind, shop.namespace)
    return {obj["metadata"]["name"] for obj in shop.api.get(path)["items"]}


def test_scale_mints_no_password_beside_a_volume_without_labels(shop: Shop) -> None:
    """Not at first, and not later; and what --adopt took over, it finds again by its labels."""
    shop.claim(CLAIM, cls=FIXED, storage="8Gi")
    done = scale(shop)
    assert (1, True, True) == (done.code, KEPT in done.err, "and add --adopt" in done.err), done
    assert set() == names(shop, "Secret") | names(shop, "StatefulSet")

    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-credentials"}}
    password = {"stringData": {"mongodb-password": "known-to-the-database"}}
    shop.api.post(path_of("Secret", NAMESPACE), head | password)
    done = scale(shop, "--adopt")
    assert 0 == done.code, done
    assert f"take over PersistentVolumeClaim/{CLAIM}" in done.out
    assert (
        "shop"
        == shop.get("PersistentVolumeClaim", CLAIM)["metadata"]["labels"][
            "app.kubernetes.io/instance"
        ]
    )
    assert "nothing to do" in scale(shop, "--adopt", "--plan").out

    strip(shop)
    for secret in ("shop-credentials", "shop-secrets"):
        shop.api.delete(path_of("Secret", NAMESPACE, secret))
    done = scale(shop)
    assert (1, True) == (done.code, KEPT in done.err), done
    assert "shop-credentials" not in names(shop, "Secret")

    done = scale(shop, "--destroy", "--data", "--yes")
    assert 0 == done.code, done
    assert set() == names(shop, "PersistentVolumeClaim") | names(shop, "StatefulSet")


def test_destroy_keeps_the_password_of_a_volume_that_is_not_ours(shop: Shop) -> None:
    """And says why, as often as it is asked."""
    claim = shop.claim(CLAIM, cls=FIXED, storage="8Gi")
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-credentials"}}
    marks = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/managed-by": "jac-converge"}
    password = {"stringData": {"mongodb-password": "known-to-the-database"}}
    head["metadata"] = {"name": "shop-credentials", "labels": marks}
    shop.api.post(path_of("Secret", NAMESPACE), head | password)
    done = scale(shop, "--destroy", "--data", "--yes")
    assert 0 == done.code, done
    assert f"PersistentVolumeClaim/{CLAIM}: it is not ours" in done.out
    assert f"PersistentVolumeClaim/{CLAIM} knows no other password" in done.out
    assert {"shop-credentials"} == names(shop, "Secret")
    assert claim == shop.get("PersistentVolumeClaim", CLAIM)
    shop.api.delete(path_of("PersistentVolumeClaim", NAMESPACE, CLAIM))
    assert 0 == scale(shop, "--destroy", "--data", "--yes").code
    assert set() == names(shop, "Secret")


def test_pod_that_lost_its_stateful_set_is_named_and_goes(
    cluster_with_controllers: ControlPlane, shop: Shop
) -> None:
    """As a run leaves it that dies between two steps of a growth; whoever may not says so."""
    server = cluster_with_controllers
    toml = shop.file.with_name("jac.toml").read_text()
    assert 0 == scale(shop).code
    set_free(shop)
    done = scale(shop, "--status")
    assert f"Pod/{POD} belongs to no workload" in done.out, done
    elsewhere = '[converge.database]\nmongodb_uri = "mongodb://db.example:27017/shop"\n'
    shop.file.with_name("jac.toml").write_text(toml + elsewhere)
    allow(shop.api, "podless", NAMESPACE, READ)
    allow(shop.api, "podless", NAMESPACE, ["*"], WRITTEN)
    done = run_scale(shop.file, kubeconfig=server.kubeconfig_for("podless"))
    refused = 'User "podless" cannot delete resource "pods"'
    assert (1, True, True) == (done.code, refused in done.one_message, POD in pods(shop)), done
    done = scale(shop)
    assert (0, True) == (done.code, f"- delete   Pod/{POD}" in done.out), done
    assert POD not in pods(shop)

    shop.file.with_name("jac.toml").write_text(toml)
    assert 0 == scale(shop).code
    set_free(shop)
    # As a destroy of before left it: the claim waits for its pod, and its password is gone.
    shop.api.delete(path_of("PersistentVolumeClaim", NAMESPACE, CLAIM))
    for secret in names(shop, "Secret"):
        shop.api.delete(path_of("Secret", NAMESPACE, secret))
    done = scale(shop, "--destroy", "--data", "--yes")
    assert 0 == done.code, done
    assert POD not in pods(shop)
    assert set() == names(shop, "PersistentVolumeClaim")


def set_free(shop: Shop) -> None:
    """Take the StatefulSet away from its pod, and wait until the pod knows."""
    path = path_of("StatefulSet", NAMESPACE, STORE)
    shop.api.delete(path, {"propagationPolicy": "Orphan"})
    wait_until(
        lambda: not shop.pod.get("ownerReferences") and STORE not in names(shop, "StatefulSet")
    )


def pods(shop: Shop) -> set[str]:
    """The names of those that there are."""
    listed = shop.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    return {pod["metadata"]["name"] for pod in listed}


def strip(shop: Shop) -> None:
    """Somebody takes the label from the claim by which it is found."""
    path = path_of("PersistentVolumeClaim", NAMESPACE, CLAIM)
    shop.api.patch(path, {"metadata": {"labels": {"app.kubernetes.io/instance": None}}})
