"""Stores that we run, and stores that are given: from one to the other, on a real cluster."""

import base64
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
{more}
"""
GIVEN = """
[converge.database]
mongodb_uri = "mongodb://ann:first-password@mongo.example/shop"
redis_url = "redis://:given-too@redis.example:6379/0"
"""
STORES = ("shop-mongodb", "shop-redis")


@pytest.fixture
def api(cluster_with_controllers: ControlPlane) -> Api:
    """An admin's client that is not the project's own."""
    return cluster_with_controllers.api


def names(api: Api, kind: str, namespace: str) -> set[str]:
    """What the namespace has of a kind."""
    return {obj["metadata"]["name"] for obj in api.get(path_of(kind, namespace))["items"]}


def are_gone(api: Api, kind: str, namespace: str) -> bool:
    """Whether neither store has such an object."""
    return set(STORES).isdisjoint(names(api, kind, namespace))


def template(api: Api, namespace: str) -> Any:
    """The template of the app's pods."""
    return api.get(path_of("Deployment", namespace, "shop"))["spec"]["template"]


def test_stores_go_when_others_are_given_and_their_data_stays(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """Workload, Service and policy of each; the volume stays, and serves whoever comes back."""
    namespace = unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=namespace, more=""))
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        volumes = names(api, "PersistentVolumeClaim", namespace)
        for kind in ("StatefulSet", "Service", "NetworkPolicy"):
            assert set(STORES) <= names(api, kind, namespace)

        write_app(tmp_path, TOML.format(namespace=namespace, more=GIVEN))
        for kind in ("StatefulSet", "Service", "NetworkPolicy"):
            wait_until(partial(are_gone, api, kind, namespace))
        assert {"data-shop-mongodb-0"} == volumes
        assert volumes == names(api, "PersistentVolumeClaim", namespace)

        write_app(tmp_path, TOML.format(namespace=namespace, more=""))
        wait_until(lambda: set(STORES) <= names(api, "StatefulSet", namespace))
        assert volumes == names(api, "PersistentVolumeClaim", namespace)


def test_pods_roll_when_a_given_secret_changes_and_nothing_tells_it(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """The Secret has the new value, the pods are new, and no Deployment has a word of it."""
    namespace = unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=namespace, more=GIVEN))
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        before = template(api, namespace)
        changed = GIVEN.replace("first-password", "second-password")
        write_app(tmp_path, TOML.format(namespace=namespace, more=changed))
        wait_until(lambda: before != template(api, namespace))
        secret = api.get(path_of("Secret", namespace, "shop-secrets"))
    sent = base64.b64decode(secret["data"]["MONGODB_URI"]).decode()
    after = template(api, namespace)
    assert "second-password" in sent
    assert before["spec"] == after["spec"]
    assert "password" not in str(after["metadata"])
    replica_sets = api.get(f"/apis/apps/v1/namespaces/{namespace}/replicasets")["items"]
    assert 2 == len(replica_sets)
