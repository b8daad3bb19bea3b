"""The user's own manifests: what becomes of them, and which are refused."""

from dataclasses import replace
from typing import Any

import pytest

from jac_converge.config.load import App
from jac_converge.config.manifests import Manifest
from jac_converge.config.problems import ConfigError
from jac_converge.reconciler.build import build, check
from jac_converge.reconciler.build.extra import EXTRA_KINDS
from jac_converge.reconciler.objects import Object, key_of, kind_named
from jac_converge.reconciler.ownership import is_extra, owner_of
from tests.unit.reconciler.build.apps import CREDENTIALS, app_with


def manifest(kind: str = "ConfigMap", name: str = "colours", **more: Any) -> dict[str, Any]:
    """One document, good unless changed."""
    metadata = {"name": name, **more.pop("metadata", {})}
    return {"apiVersion": kind_named(kind).api_version, "kind": kind, "metadata": metadata, **more}


def app_of(*documents: dict[str, Any], **kubernetes: Any) -> App:
    """Make an app with these manifests, all in one file, ten lines each."""
    manifests = tuple(
        Manifest(file="k8s/a.yaml", line=1 + 10 * index, content=document)
        for index, document in enumerate(documents)
    )
    return replace(app_with(kubernetes), manifests=manifests)


def extras(*documents: dict[str, Any]) -> list[Object]:
    """What they become."""
    return [obj for obj in build(app_of(*documents), CREDENTIALS) if is_extra(obj)]


def refusals(*documents: dict[str, Any], **kubernetes: Any) -> list[str]:
    """Why they are refused."""
    with pytest.raises(ConfigError) as refused:
        check(app_of(*documents, **kubernetes))
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize("kind", EXTRA_KINDS)
def test_manifest_becomes_an_object_of_the_app(kind: str) -> None:
    """In its namespace, with its labels, and with what the manifest says."""
    (obj,) = extras(manifest(kind, spec={"a": 1}, metadata={"labels": {"team": "blue"}}))
    assert ("shop-prod", "us") == (obj["metadata"]["namespace"], owner_of(obj, "shop"))
    assert ("blue", {"a": 1}) == (obj["metadata"]["labels"]["team"], obj["spec"])
    assert kind_named(kind).namespaced


def test_manifests_come_after_everything_of_the_app() -> None:
    """A Job may need the database, and the app needs none of them; among them by kind."""
    app = app_of(manifest("Job"), manifest("ConfigMap"), manifest("Role"))
    objects = build(app, CREDENTIALS)
    assert ["Role", "ConfigMap", "Job"] == [obj["kind"] for obj in objects[-3:]] or (
        {"Role", "ConfigMap"} == {obj["kind"] for obj in objects[-3:-1]}
    )
    assert [False] * (len(objects) - 3) + [True] * 3 == [is_extra(obj) for obj in objects]


def test_string_data_of_a_secret_is_sent_as_data() -> None:
    """The server would turn it into `data` that nobody owns, and edits of that would stay."""
    (obj,) = extras(manifest("Secret", data={"A": "eA=="}, stringData={"B": "y"}))
    assert ({"A": "eA==", "B": "eQ=="}, False) == (obj["data"], "stringData" in obj)


def test_status_of_a_manifest_is_left_out() -> None:
    """It is the cluster's, and comes along with `kubectl get -o yaml`."""
    (obj,) = extras(manifest("Service", status={"loadBalancer": {}}))
    assert "status" not in obj


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"kind": "Deployment"}, "kind 'Deployment' cannot be an extra manifest; it must be Confi"),
        ({"kind": "ClusterRole"}, "kind 'ClusterRole' cannot be an extra manifest; it must be"),
        ({}, "kind None cannot be an extra manifest; it must be"),
        (
            {**manifest("CronJob"), "apiVersion": "batch/v1beta1"},
            "CronJob/colours: apiVersion is 'batch/v1beta1'; write 'batch/v1'",
        ),
        ({"apiVersion": "v1", "kind": "Secret"}, "metadata is not given; write at least a name"),
        (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "a-"}},
            "metadata.name is not a name; write one, without /",
        ),
        (manifest(name="../a"), "ConfigMap/../a: metadata.name is not a name; write one, without"),
        (manifest(metadata={"labels": ["a"]}), "metadata.labels is not a table; write name: val"),
        (manifest("Secret", stringData={"A": 1}), "stringData is not a table of text; put its v"),
        (manifest("Secret", data="eA=="), "Secret/colours: data is not a table of text; put its"),
        (
            manifest(metadata={"namespace": "other"}),
            "metadata.namespace is 'other', and the app's is 'shop-prod'; leave it out",
        ),
        (
            manifest(metadata={"resourceVersion": "7"}),
            "metadata.resourceVersion is the cluster's to say; leave it out",
        ),
        (
            manifest(metadata={"labels": {"app.kubernetes.io/instance": "other"}}),
            "the label app.kubernetes.io/instance is ours, and must be 'shop'; leave it out",
        ),
        (
            manifest("Job", spec={"ttlSecondsAfterFinished": 60}),
            "Job/colours: spec.ttlSecondsAfterFinished deletes it, and then it would run again;",
        ),
        (
            manifest(name="shop-config"),
            "ConfigMap/shop-config: belongs to the app already; choose another name",
        ),
        (
            manifest("NetworkPolicy", "shop-redis"),
            "NetworkPolicy/shop-redis: belongs to the app already; choose another name",
        ),
    ],
)  # fmt: skip
def test_manifest_is_refused_where_it_stands(document: dict[str, Any], expected: str) -> None:
    """With file, line, and what to write instead."""
    (problem,) = refusals(manifest(name="good"), document)
    assert problem.startswith("k8s/a.yaml:11: ")
    assert expected in problem


def test_manifest_that_comes_twice_is_refused_with_the_other_place() -> None:
    """Two files that want the same object would fight."""
    assert [
        "k8s/a.yaml:21: ConfigMap/colours: belongs to k8s/a.yaml:1 already; choose another name"
    ] == refusals(manifest(), manifest("Secret"), manifest())


def test_every_problem_is_told_at_once() -> None:
    """Not one a run."""
    found = refusals({"kind": "Pod"}, manifest(metadata={"namespace": "x", "uid": "y"}))
    assert ["k8s/a.yaml:1", "k8s/a.yaml:11", "k8s/a.yaml:11"] == [
        problem.partition(": ")[0] for problem in found
    ]


def test_name_of_a_store_that_is_off_is_free() -> None:
    """Only what is there can be in the way."""
    check(app_of(manifest("Service", "shop-redis"), redis={"enabled": False}))


def test_manifests_wait_for_an_image() -> None:
    """To destroy, none is needed, and nothing is built."""
    check(app_of({"kind": "Pod"}, image=""))


def test_manifests_change_no_object_of_the_app() -> None:
    """Adding one rolls no pod."""
    documents = manifest(), manifest("Secret", data={})
    without = build(app_with(), CREDENTIALS)
    assert list(without) == [
        obj for obj in build(app_of(*documents), CREDENTIALS) if not is_extra(obj)
    ]
    assert {"colours"} == {key_of(obj).name for obj in extras(*documents)}
