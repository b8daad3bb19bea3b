"""The app's own objects: what depends on which setting."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from jac_converge.app_runtime.supervisor import SLACK
from jac_converge.config.load import App
from jac_converge.config.problems import ConfigError
from jac_converge.reconciler.build import build
from jac_converge.reconciler.build.credentials import Credentials
from jac_converge.reconciler.objects import Object, key_of
from tests.unit.reconciler.build.apps import APPS, CREDENTIALS, app_with

NO_MONGODB = {"mongodb": {"enabled": False}}
GIVEN = "a-secret-that-was-given-by-the-user"


def object_of(app: App, key: str, credentials: Credentials = CREDENTIALS) -> Object:
    """Build one object."""
    return next(obj for obj in build(app, credentials) if str(key_of(obj)) == key)


def template_of(
    app: App, workload: str = "Deployment/shop", credentials: Credentials = CREDENTIALS
) -> dict[str, Any]:
    """Build one pod template."""
    template = object_of(app, workload, credentials)["spec"]["template"]
    assert isinstance(template, dict)
    return template


def secrets_of(app: App) -> dict[str, str]:
    """Read the app's secret environment."""
    data = object_of(app, "Secret/shop-secrets")["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


@pytest.mark.parametrize(
    ("exposure", "given", "expected"),
    [
        pytest.param({}, [], None, id="nothing"),
        pytest.param({"kind": "nodeport"}, [], None, id="clients come by themselves"),
        pytest.param({"kind": "ingress"}, [], "10.0.0.0/8,172.16.0.0/12", id="ingress"),
        pytest.param({"kind": "gateway", "gateway": "g"}, [], "10.0.0.0/8,", id="gateway"),
        pytest.param({"kind": "ingress"}, ["10.42.0.0/16"], "10.42.0.0/16", id="given"),
        pytest.param({"kind": "nodeport"}, ["192.0.2.7"], "192.0.2.7/32", id="a balancer"),
    ],
)
def test_pods_believe_an_ingress_about_its_clients(
    exposure: dict[str, str], given: list[str], expected: str | None
) -> None:
    """Else all who come through it are one client; nobody else is believed unasked."""
    app = app_with({"exposure": exposure}, server={"trusted_proxies": given})
    told = object_of(app, "ConfigMap/shop-config").get("data", {}).get("FORWARDED_ALLOW_IPS")
    assert (expected is None) == (told is None)
    assert (told or "").startswith(expected or "")


def test_deployment_leaves_the_count_to_the_autoscaler() -> None:
    """A count of ours would undo each decision of the autoscaler."""
    scaled = object_of(app_with({"autoscaling": {}}), "Deployment/shop")
    fixed = object_of(app_with({"replicas": 2}), "Deployment/shop")
    switched_off = app_with({"replicas": 2, "autoscaling": {"enabled": False}})

    assert "replicas" not in scaled["spec"]
    assert 2 == fixed["spec"]["replicas"]
    assert 2 == object_of(switched_off, "Deployment/shop")["spec"]["replicas"]


def test_pods_spread_over_nodes_that_have_no_zone() -> None:
    """A constraint on a label that no node has would switch the others off: zones are a wish."""
    spec = template_of(app_with({"replicas": 2}))["spec"]
    (constraint,) = spec["topologySpreadConstraints"]
    (wish,) = spec["affinity"]["podAntiAffinity"].pop(
        "preferredDuringSchedulingIgnoredDuringExecution"
    )
    assert {"podAntiAffinity": {}} == spec["affinity"]
    term = wish["podAffinityTerm"]
    assert ("kubernetes.io/hostname", "topology.kubernetes.io/zone") == (
        constraint["topologyKey"],
        term["topologyKey"],
    )
    # Pods of another version do not count for either.
    assert ["pod-template-hash"] == constraint["matchLabelKeys"] == term["matchLabelKeys"]
    assert constraint["labelSelector"] == term["labelSelector"]
    assert "ScheduleAnyway" == constraint["whenUnsatisfiable"]


@pytest.mark.parametrize(
    ("kubernetes", "expected"),
    [
        pytest.param({"replicas": 0}, set(), id="none"),
        pytest.param({"replicas": 1}, set(), id="one pod"),
        pytest.param({"replicas": 2}, {"PodDisruptionBudget"}, id="two pods"),
        pytest.param({"autoscaling": {}}, {"HorizontalPodAutoscaler"}, id="autoscaled from one"),
        pytest.param(
            {"autoscaling": {"min_replicas": 2}},
            {"HorizontalPodAutoscaler", "PodDisruptionBudget"},
            id="autoscaled from two",
        ),
        pytest.param(
            {"replicas": 2, "autoscaling": {"enabled": False}},
            {"PodDisruptionBudget"},
            id="autoscaling switched off",
        ),
    ],
)
def test_scaling_objects_depend_on_the_fewest_pods(
    kubernetes: dict[str, Any], expected: set[str]
) -> None:
    """A budget needs a pod to spare, an autoscaler a table that is on."""
    kinds = {obj["kind"] for obj in build(app_with(kubernetes), CREDENTIALS)}

    assert expected == kinds & {"HorizontalPodAutoscaler", "PodDisruptionBudget"}


def test_autoscaler_measures_only_what_has_a_target() -> None:
    """A metric without a target is not sent."""
    app = app_with({"autoscaling": {"memory_utilization_target": 75}})
    spec = object_of(app, "HorizontalPodAutoscaler/shop")["spec"]

    assert [("memory", 75)] == [
        (m["resource"]["name"], m["resource"]["target"]["averageUtilization"])
        for m in spec["metrics"]
    ]


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(app_with({"env": {"A": "2"}}, secrets={"B": "1"}), id="environment"),
        pytest.param(app_with({"env": {"A": "1"}}, secrets={"B": "2"}), id="secret"),
        pytest.param(app_with({"env": {"A": "1"}, **NO_MONGODB}, secrets={"B": "1"}), id="store"),
        pytest.param(
            app_with({"env": {"A": "1"}}, secrets={"B": "1"}, jwt={"secret": GIVEN}), id="jwt"
        ),
    ],
)
def test_pods_roll_when_what_they_read_changes(app: App) -> None:
    """A changed ConfigMap or Secret alone would reach no running pod."""
    before = app_with({"env": {"A": "1"}}, secrets={"B": "1"})

    assert template_of(before) != template_of(app)


def test_pods_stay_when_something_else_changes() -> None:
    """The number of pods, and how it is decided, is none of their business."""
    plain = template_of(app_with({"replicas": 1}))

    assert plain == template_of(app_with({"replicas": 5}))
    assert plain == template_of(app_with({"autoscaling": {"max_replicas": 9}}))
    assert plain == template_of(app_with({"redis": {"memory": "1Gi"}}))


def test_config_annotation_is_keyed_by_the_app() -> None:
    """The same settings under another key give another digest: no guess can be tested."""
    app = app_with({"env": {"A": "1"}}, jwt={"secret": GIVEN})
    other = Credentials(
        jwt_secret="another",
        redis_password=CREDENTIALS.redis_password,
        mongodb_password=CREDENTIALS.mongodb_password,
    )

    annotations = [
        template_of(app, credentials=credentials)["metadata"]["annotations"]
        for credentials in (CREDENTIALS, other)
    ]

    assert annotations[0] != annotations[1]


def test_secret_environment_points_to_the_stores_we_run() -> None:
    """Passwords are quoted for a URL; Redis gets no user name."""
    credentials = Credentials(jwt_secret="minted", redis_password="a/b@c", mongodb_password="d:e?f")
    data = object_of(app_with(), "Secret/shop-secrets", credentials)["data"]

    assert {
        "JWT_SECRET": "minted",
        "MONGODB_URI": "mongodb://root:d%3Ae%3Ff@shop-mongodb:27017/shop?authSource=admin",
        "REDIS_URL": "redis://:a%2Fb%40c@shop-redis:6379/0",
    } == {name: base64.b64decode(value).decode() for name, value in data.items()}


def test_secret_environment_passes_on_what_is_given() -> None:
    """Given stores and a given signing secret win, and nothing runs in their stead."""
    app = app_with(
        database={"mongodb_uri": "mongodb://a.example", "redis_url": "redis://b.example"},
        jwt={"secret": GIVEN},
        secrets={"KEY": "value"},
    )

    assert {
        "JWT_SECRET": GIVEN,
        "KEY": "value",
        "MONGODB_URI": "mongodb://a.example",
        "REDIS_URL": "redis://b.example",
    } == secrets_of(app)
    assert "StatefulSet" not in {obj["kind"] for obj in build(app, CREDENTIALS)}


def test_secret_environment_leaves_out_stores_that_are_off() -> None:
    """Without a store there is no variable, rather than an empty one."""
    assert {"JWT_SECRET"} == set(secrets_of(APPS["shelf"]))


def test_pod_has_time_to_drain() -> None:
    """SIGKILL comes after the pre-stop pause, the drain and a margin."""
    app = app_with({"pre_stop_seconds": 20}, server={"drain_seconds": 120})
    spec = template_of(app)["spec"]

    assert 150 == spec["terminationGracePeriodSeconds"]
    assert {"preStop": {"sleep": {"seconds": 20}}} == spec["containers"][0]["lifecycle"]


def test_server_ends_before_it_is_killed() -> None:
    """A worker has some seconds on top of its drain; SIGKILL must come after those."""
    spec = template_of(app_with(server={"drain_seconds": 0}))["spec"]
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert spec["terminationGracePeriodSeconds"] > pause + SLACK


@pytest.mark.parametrize("workload", ["Deployment/shop", "StatefulSet/shop-redis"])
def test_pods_log_in_to_registries(workload: str) -> None:
    """Every pod: the stores may come from a mirror that asks who is there."""
    app = app_with({"image_pull_secrets": ["a", "b"]})

    assert [{"name": "a"}, {"name": "b"}] == template_of(app, workload)["spec"]["imagePullSecrets"]
    assert "imagePullSecrets" not in template_of(app_with(), workload)["spec"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(".jac/converge/shelf.db", "/app/.jac/converge", id="default"),
        pytest.param("data/../state/shelf.db", "/app/state", id="detour"),
        pytest.param("/var/lib/shop/shelf.db", "/var/lib/shop", id="absolute"),
    ],
)
def test_shelf_has_a_writable_folder(path: str, expected: str) -> None:
    """The image is read-only, the shelf's folder is not."""
    app = app_with(NO_MONGODB, database={"shelf_db_path": path})
    mounts = template_of(app)["spec"]["containers"][0]["volumeMounts"]

    assert [("shelf", expected), ("tmp", "/tmp")] == sorted(  # noqa: S108
        (mount["name"], mount["mountPath"]) for mount in mounts
    )


@pytest.mark.parametrize("path", ["shelf.db", "../shelf.db", "/shelf.db", "/app/shelf.db"])
def test_shelf_folder_is_refused_when_it_would_hide_the_app(path: str) -> None:
    """A volume over `/app` would hide what the image has there."""
    app = app_with(NO_MONGODB, database={"shelf_db_path": path})

    with pytest.raises(ConfigError, match=r"shelf_db_path: needs a folder of its own in a pod"):
        build(app, CREDENTIALS)


@pytest.mark.parametrize(
    "database", [{"mongodb_uri": "mongodb://a.example"}, {}], ids=["given", "ours"]
)
def test_shelf_has_no_folder_when_there_is_a_mongodb(database: dict[str, str]) -> None:
    """Nothing but the scratch folder is writable then."""
    mounts = template_of(app_with(database=database))["spec"]["containers"][0]["volumeMounts"]

    assert ["tmp"] == [mount["name"] for mount in mounts]


def test_pod_of_an_image_that_was_built_here_has_a_group_of_its_own() -> None:
    """The kubelet takes the number of an image's user alone, and runs it in the group of root."""
    context = template_of(replace(app_with(), user=10001))["spec"]["securityContext"]
    assert (10001, 10001) == (context["runAsUser"], context["runAsGroup"])
    given = template_of(app_with())["spec"]["securityContext"]
    assert {"runAsNonRoot", "seccompProfile"} == given.keys()


def test_container_asks_for_nothing_when_nothing_is_set() -> None:
    """Unset requests and limits are left out: the server would not store empty ones."""
    assert "resources" not in template_of(APPS["shelf"])["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("memory", "expected"), [("512Mi", "0.25"), ("1Gi", "0.25"), ("4Gi", "1.50"), ("2G", "0.43")]
)
def test_mongodb_cache_leaves_room_for_the_rest(memory: str, expected: str) -> None:
    """Half of what a gibibyte leaves over, and never less than MongoDB accepts."""
    template = template_of(app_with({"mongodb": {"memory": memory}}), "StatefulSet/shop-mongodb")

    assert ["--wiredTigerCacheSizeGB", expected] == template["spec"]["containers"][0]["args"]


def test_redis_rolls_when_its_password_changes() -> None:
    """A password put into the Secret by hand reaches Redis and the app at once."""
    other = Credentials(
        jwt_secret=CREDENTIALS.jwt_secret,
        redis_password="by-hand",
        mongodb_password=CREDENTIALS.mongodb_password,
    )
    app = app_with()

    for workload in ("StatefulSet/shop-redis", "Deployment/shop"):
        assert template_of(app, workload) != template_of(app, workload, other)


def test_pods_ask_for_the_profile_of_the_deploy() -> None:
    """A pod that read jac.toml alone would run with other settings than the plan was made from."""
    app = replace(app_with(), profile="prod")
    assert {"JAC_PROFILE": "prod"} == object_of(app, "ConfigMap/shop-config")["data"]
