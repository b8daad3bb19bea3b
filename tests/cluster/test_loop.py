"""The loop, on a real API server with real controllers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jac_converge.config.load import App, load_app
from jac_converge.reconciler.authorship import REPLICAS
from jac_converge.reconciler.drift import owned_fields
from jac_converge.reconciler.objects import KINDS
from tests.cluster.foreign_edits import EDITS, Edit, heal_seconds, path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
replicas = 2
{more}
"""
AUTOSCALING = """
[converge.kubernetes.autoscaling]
min_replicas = 2
max_replicas = {maximum}
"""
INGRESS = """
[converge.kubernetes.exposure]
kind = "ingress"
host = "shop.example"
"""


@pytest.fixture
def api(cluster_with_controllers: ControlPlane) -> Api:
    """An admin's client that is not the project's own."""
    return cluster_with_controllers.api


@pytest.fixture(scope="module")
def shop(
    cluster_with_controllers: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningLoop]:
    """A converged app under watch, with every kind of object."""
    toml = TOML.format(namespace="edited", more=AUTOSCALING.format(maximum=6) + INGRESS)
    file = write_app(tmp_path_factory.mktemp("shop"), toml)
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        yield running


@pytest.mark.parametrize("edit", EDITS, ids=[f"{e.kind} {e.name} {e.title}" for e in EDITS])
def test_loop_heals(shop: RunningLoop, api: Api, edit: Edit) -> None:
    """Whatever somebody else does to an object of ours is put back, and told."""
    wait_until(lambda: shop.view.ready, 60)
    told = len(shop.view.heals)
    seconds = heal_seconds(api, edit, app="shop", namespace="edited", manager="kubectl-edit")
    assert seconds is not None, shop.view.messages
    wait_until(lambda: len(shop.view.heals) > told)
    heal = shop.view.heals[-1]
    who = "kubectl-edit" if edit.leaves_a_name else None
    assert (edit.kind, who) == (heal.key.kind, heal.who)


def test_loop_tells_what_was_changed_before_what_follows_from_it(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """A NodePort gets a port and a policy from the server: those are not what somebody did."""
    file = write_app(tmp_path, TOML.format(namespace=unused_namespace, more=""))
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        service = path_of("Service", unused_namespace, "shop")
        api.patch(f"{service}?fieldManager=kubectl-patch", {"spec": {"type": "NodePort"}})
        wait_until(lambda: len(running.view.heals) == 1)
    (heal,) = running.view.heals
    assert heal.what.startswith("spec.type NodePort -> ClusterIP and "), heal.what


def versions(api: Api, namespace: str) -> dict[str, str]:
    """The resource version of every object of every kind we write."""
    return {
        f"{kind.name}/{obj['metadata']['name']}": obj["metadata"]["resourceVersion"]
        for kind in KINDS
        if kind.namespaced and not kind.needs
        for obj in api.get(path_of(kind.name, namespace))["items"]
    }


def test_loop_writes_nothing_in_a_steady_state(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """A second loop over a converged app leaves every object as it is."""
    toml = TOML.format(namespace=unused_namespace, more="")
    file = write_app(tmp_path, toml)
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
    before = versions(api, unused_namespace)
    with running_loop(file, cluster_with_controllers.kubeconfig) as again:
        wait_until(lambda: again.view.ready, 60)
    assert ([], before) == (again.view.outcomes, versions(api, unused_namespace))


def replicas(api: Api, namespace: str) -> int:
    """Pods that the Deployment asks for."""
    return int(api.get(path_of("Deployment", namespace, "shop"))["spec"]["replicas"])


def test_loop_applies_edits_of_jac_toml_live(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """Replicas and targets take effect at once; the count never dips when autoscaling comes."""
    ns = unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns, more=""))
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        write_app(tmp_path, TOML.format(namespace=ns, more="").replace("= 2", "= 4"))
        wait_until(lambda: replicas(api, ns) == 4)
        wait_until(lambda: running.view.ready, 60)
        before = versions(api, ns)["Deployment/shop"]
        seen = []
        with api.watch(path_of("Deployment", ns), version=before, timeout=5) as watch:
            write_app(tmp_path, TOML.format(namespace=ns, more=AUTOSCALING.format(maximum=6)))
            hpa = path_of("HorizontalPodAutoscaler", ns, "shop")
            wait_until(lambda: "HorizontalPodAutoscaler/shop" in versions(api, ns))
            write_app(tmp_path, TOML.format(namespace=ns, more=AUTOSCALING.format(maximum=9)))
            wait_until(lambda: api.get(hpa)["spec"]["maxReplicas"] == 9)
            write_app(tmp_path, TOML.format(namespace=ns, more=""))
            for event in watch:
                seen.append(event["object"]["spec"]["replicas"])
                if seen[-1] == 2:
                    break
        wait_until(lambda: "HorizontalPodAutoscaler/shop" not in versions(api, ns))
        again, owned = [], True
        before = versions(api, ns)["Deployment/shop"]
        with api.watch(path_of("Deployment", ns), version=before, timeout=20) as watch:
            write_app(tmp_path, TOML.format(namespace=ns, more=AUTOSCALING.format(maximum=6)))
            for event in watch:
                again.append(event["object"]["spec"]["replicas"])
                owned = REPLICAS in owned_fields(event["object"])
                if not owned:
                    break
        wait_until(lambda: "HorizontalPodAutoscaler/shop" in versions(api, ns))
    assert not owned, "the count was never handed over"
    assert {2} == {*again, replicas(api, ns)}
    assert {4, 2} == set(seen)
    assert sorted(seen, reverse=True) == seen
    assert [] == running.view.heals


NOT_EVEN_REDIS = """
[converge.kubernetes.redis]
enabled = false
"""


def test_loop_calls_nothing_healed_that_jac_toml_asked_for(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """What we deleted ourselves is created, not healed, once it is wanted again."""
    ns = unused_namespace
    toml = TOML.format(namespace=ns, more="")
    file = write_app(tmp_path, toml)
    there = {"PodDisruptionBudget/shop", "StatefulSet/shop-redis", "NetworkPolicy/shop-redis"}
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: there <= versions(api, ns).keys(), 60)
        wait_until(lambda: running.view.ready, 60)
        write_app(tmp_path, TOML.format(namespace=ns, more=NOT_EVEN_REDIS).replace("= 2", "= 0"))
        wait_until(lambda: not there & versions(api, ns).keys())
        write_app(tmp_path, toml)
        wait_until(lambda: there <= versions(api, ns).keys())
        wait_until(lambda: running.view.ready, 60)
    deleted = [
        str(result.step.key)
        for outcome in running.view.outcomes
        for result in outcome.results
        if result.step.verb == "delete"
    ]
    assert ([], sorted(set(deleted))) == (running.view.heals, sorted(deleted))


def test_one_run_calls_nothing_healed_that_jac_toml_asks_for(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """An earlier run wrote what is there, as the jac.toml of that time said."""
    toml = TOML.format(namespace=unused_namespace, more="")
    scaled = TOML.format(namespace=unused_namespace, more=AUTOSCALING.format(maximum=6))
    for text in (toml, toml.replace("= 2", "= 1"), toml, scaled, toml):
        file = write_app(tmp_path, text)
        kubeconfig = cluster_with_controllers.kubeconfig
        with running_loop(file, kubeconfig, until_healthy=True) as run:
            run.thread.join(60)
        assert (False, []) == (run.thread.is_alive(), run.view.heals)
        assert run.view.outcomes


def test_loop_prunes_what_left_the_desired_state(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """A store that moved elsewhere goes; its volume and the secrets stay; a stranger is left."""
    ns = unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns, more=""))
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        api.post(
            path_of("ConfigMap", ns),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-of-another"}},
        )
        more = '[converge.database]\nmongodb_uri = "mongodb://elsewhere/shop"'
        write_app(tmp_path, TOML.format(namespace=ns, more=more))
        wait_until(lambda: "StatefulSet/shop-mongodb" not in versions(api, ns))
        wait_until(lambda: "Service/shop-mongodb" not in versions(api, ns))
    left = versions(api, ns)
    assert {
        "PersistentVolumeClaim/data-shop-mongodb-0",
        "Secret/shop-credentials",
        "ConfigMap/shop-of-another",
        "StatefulSet/shop-redis",
    } <= left.keys()


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("[converge.kubernetes\n", id="not TOML"),
        pytest.param("", id="empty"),
        pytest.param("[converge.kubernetes]\nreplicaz = 3\n", id="unknown key"),
    ],
)
def test_loop_keeps_the_last_good_configuration(
    cluster_with_controllers: ControlPlane,
    api: Api,
    unused_namespace: str,
    tmp_path: Path,
    broken: str,
) -> None:
    """A file that cannot be used deletes nothing; the loop lives, and heals, and goes on."""
    ns = unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns, more=""))
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        write_app(tmp_path, broken)
        wait_until(lambda: any("last good" in m for m in running.view.messages))
        edit = next(e for e in EDITS if e.kind == "Service" and e.title == "selector")
        healed = heal_seconds(api, edit, app="shop", namespace=ns, manager="kubectl-edit")
        assert healed is not None
        write_app(tmp_path, TOML.format(namespace=ns, more="").replace("= 2", "= 3"))
        wait_until(lambda: replicas(api, ns) == 3)


def test_loop_says_nothing_while_an_editor_writes(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """Half a file changes nothing, and is no mistake either, until it has stood for a while."""
    ns, now, looks = unused_namespace, [0.0], [0]
    whole = TOML.format(namespace=ns, more="")
    file = write_app(tmp_path, whole)

    def clock() -> float:
        looks[0] += 1
        return now[0]

    def is_looked_at() -> None:
        before = looks[0]
        wait_until(lambda: looks[0] > before + 3)

    with running_loop(file, cluster_with_controllers.kubeconfig, file_clock=clock) as running:
        wait_until(lambda: running.view.ready, 60)
        wrote = len(running.view.outcomes)
        with (tmp_path / "jac.toml").open("w") as editor:
            for part in (whole[: len(whole) // 2], whole[len(whole) // 2 :].replace("= 2", "= 3")):
                # Truncated, and then half written.
                is_looked_at()
                editor.write(part)
                editor.flush()
        wait_until(lambda: replicas(api, ns) == 3)
        assert [] == [m for m in running.view.messages if "last good" in m]
        assert 1 == len(running.view.outcomes) - wrote
        (tmp_path / "jac.toml").write_text("[converge.kuber")
        is_looked_at()
        assert [] == [m for m in running.view.messages if "last good" in m]
        now[0] += 1.0
        wait_until(lambda: any("last good" in m for m in running.view.messages))
        edit = next(e for e in EDITS if e.kind == "Service" and e.title == "selector")
        assert heal_seconds(api, edit, app="shop", namespace=ns, manager="kubectl-edit")
        assert 1 == len([m for m in running.view.messages if "last good" in m])


def test_loop_notices_edits_after_a_mistake_of_ours(
    cluster_with_controllers: ControlPlane,
    api: Api,
    unused_namespace: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever reading the files raises, the thread that looks at them lives."""
    ns = unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns, more=""))

    def load() -> App:
        app = load_app(file, environ={})
        if app.settings.kubernetes.replicas == 3:
            raise KeyError("a mistake")
        return app

    with running_loop(file, cluster_with_controllers.kubeconfig, load=load):
        wait_until(lambda: "Service/shop" in versions(api, ns), 60)
        write_app(tmp_path, TOML.format(namespace=ns, more="").replace("= 2", "= 3"))
        wait_until(lambda: "configuration could not be read" in caplog.text)
        write_app(tmp_path, TOML.format(namespace=ns, more='env = { SEEN = "1" }'))
        config = path_of("ConfigMap", ns, "shop-config")
        wait_until(lambda: "SEEN" in (api.get(config).get("data") or {}))


def test_loop_creates_everything_again_when_the_namespace_is_deleted(
    cluster_with_controllers: ControlPlane, api: Api, unused_namespace: str, tmp_path: Path
) -> None:
    """It waits until the namespace is gone, then begins anew with the same passwords."""
    ns = unused_namespace
    file = write_app(tmp_path, TOML.format(namespace=ns, more=""))
    secret = path_of("Secret", ns, "shop-credentials")
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        before = api.get(secret)
        api.delete(path_of("Namespace", ns, ns))
        wait_until(lambda: "Secret/shop-credentials" not in versions(api, ns), 60)
        # Nothing can be created while the namespace ends, so what is there again is new.
        wait_until(lambda: "Secret/shop-credentials" in versions(api, ns), 60)
        wait_until(lambda: "Deployment/shop" in versions(api, ns), 60)
        after = api.get(secret)
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert before["data"] == after["data"]


def test_loop_only_watches_while_another_one_writes(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Two loops on one app: one writes, the other says who does."""
    toml = TOML.format(namespace=unused_namespace, more="")
    first = write_app(tmp_path / "first", toml)
    second = write_app(tmp_path / "second", toml.replace("example/shop:1", "example/shop:2"))
    kubeconfig = cluster_with_controllers.kubeconfig
    with running_loop(first, kubeconfig, holder="ann@laptop:1") as ann:
        wait_until(lambda: ann.view.ready, 60)
        with running_loop(second, kubeconfig, holder="bob@desk:2") as bob:
            wait_until(lambda: any("ann@laptop:1" in m for m in bob.view.messages))
            assert [] == bob.view.outcomes


def test_loop_reports_an_image_that_cannot_be_pulled(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """The reason of the pods stands in the table."""
    toml = TOML.format(namespace=unused_namespace, more="").replace(
        "example/shop:1", "registry.invalid/shop:1"
    )
    file = write_app(tmp_path, toml)
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(
            lambda: any("pull" in row.health.sentence.lower() for row in running.view.rows), 60
        )
