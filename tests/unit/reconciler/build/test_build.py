"""The desired objects of an app, as a whole: golden sets, and what holds for every one of them."""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.config.load import App
from jac_converge.config.problems import ConfigError
from jac_converge.reconciler.build import build, keys_of_desired
from jac_converge.reconciler.build.credentials import Credentials
from jac_converge.reconciler.objects import Object, key_of, kind_named
from jac_converge.reconciler.ownership import is_extra, owner_of, selector_of
from tests.unit.reconciler.build.apps import APPS, CREDENTIALS, app_with
from tests.unit.reconciler.build.restricted import violations

GOLDEN = Path(__file__).with_name("golden")
WORKLOADS = {"Deployment", "StatefulSet"}

each_app = pytest.mark.parametrize("app", APPS.values(), ids=APPS.keys())


class Plain(yaml.SafeDumper):
    """YAML without anchors, for readers."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values in full."""
        del data
        return True


def built(app: App) -> dict[str, Object]:
    """Build, by `Kind/name`."""
    return {str(key_of(obj)): obj for obj in build(app, CREDENTIALS)}


def pods_of(objects: dict[str, Object]) -> dict[str, Any]:
    """Every pod template, by the workload's key."""
    return {
        key: obj["spec"]["template"] for key, obj in objects.items() if obj["kind"] in WORKLOADS
    }


@pytest.mark.parametrize("name", APPS)
def test_build_gives_the_golden_objects(name: str) -> None:
    """Every change of a manifest is seen in review; `UPDATE_GOLDEN=1 pytest` writes them anew."""
    file = GOLDEN / f"{name}.yaml"
    actual = yaml.dump_all(build(APPS[name], CREDENTIALS), Dumper=Plain, sort_keys=True)

    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(actual)

    assert file.read_text() == actual


@each_app
def test_build_is_deterministic(app: App) -> None:
    """The same settings give the same objects, down to the order of every key."""
    assert json.dumps(build(app, CREDENTIALS)) == json.dumps(build(app, CREDENTIALS))


def test_build_does_not_depend_on_the_order_of_keys_in_the_configuration() -> None:
    """Sorting the environment in jac.toml rolls no pod."""
    one = app_with({"env": {"A": "1", "B": "2"}}, secrets={"C": "3", "D": "4"})
    other = app_with({"env": {"B": "2", "A": "1"}}, secrets={"D": "4", "C": "3"})

    assert json.dumps(build(one, CREDENTIALS)) == json.dumps(build(other, CREDENTIALS))


@each_app
def test_build_gives_objects_in_the_order_of_application(app: App) -> None:
    """What others need comes first, and nothing comes twice."""
    objects = build(app, CREDENTIALS)
    ranks = [kind_named(obj["kind"]).rank for obj in objects]

    assert sorted(ranks) == ranks
    assert len(objects) == len({key_of(obj) for obj in objects})


@each_app
def test_build_labels_every_object_and_pod(app: App) -> None:
    """The app's selector finds everything, pods and volumes too."""
    selector = dict(part.split("=") for part in selector_of(app.name).split(","))
    objects = built(app)
    claims = [
        claim
        for obj in objects.values()
        for claim in obj.get("spec", {}).get("volumeClaimTemplates", ())
    ]
    labelled = [*objects.values(), *pods_of(objects).values(), *claims]

    assert [] == [
        obj for obj in labelled if not selector.items() <= obj["metadata"]["labels"].items()
    ]
    assert {"us"} == {owner_of(obj, app.name) for obj in objects.values()}


@each_app
def test_build_puts_objects_into_the_namespace(app: App) -> None:
    """All but the namespace itself, which is what they are in."""
    namespaces = {key: obj["metadata"].get("namespace") for key, obj in built(app).items()}

    assert namespaces.pop(f"Namespace/{app.namespace}") is None
    assert {app.namespace} == set(namespaces.values())


def spellings(secret: str) -> Iterator[str]:
    """Every form in which a secret would give itself away."""
    yield secret
    yield base64.b64encode(secret.encode()).decode()
    yield hashlib.sha256(secret.encode()).hexdigest()


@each_app
def test_build_shows_secrets_in_secrets_only(app: App) -> None:
    """Neither plain, nor encoded, nor as a hash that a guess can be tested against."""
    secrets = [CREDENTIALS.jwt_secret, CREDENTIALS.redis_password, CREDENTIALS.mongodb_password]
    secrets += [value.get_secret_value() for value in app.settings.secrets.values()]
    database, jwt = app.settings.database, app.settings.jwt
    given = (database.mongodb_uri, database.redis_url, jwt.secret)
    secrets += [value.get_secret_value() for value in given if value]
    shown = json.dumps([obj for obj in built(app).values() if obj["kind"] != "Secret"])

    assert [] == [form for secret in secrets for form in spellings(secret) if form in shown]


@each_app
def test_build_sends_secrets_as_data(app: App) -> None:
    """The server would turn `stringData` into `data` that nobody owns."""
    secrets = [obj for obj in built(app).values() if obj["kind"] == "Secret"]

    assert 2 == len(secrets)
    assert [{"apiVersion", "kind", "metadata", "data"}] * 2 == [set(obj) for obj in secrets]


@each_app
def test_build_restricts_every_pod(app: App) -> None:
    """No pod may do what the `restricted` standard forbids."""
    pods = pods_of(built(app))

    assert {key: [] for key in pods} == {key: violations(pod["spec"]) for key, pod in pods.items()}
    assert [] != violations({"containers": [{"name": "any"}]})


@each_app
def test_build_selects_the_pods_of_one_component_each(app: App) -> None:
    """No selector finds pods of another workload, and each finds its own."""
    objects = built(app)
    pods = {key.partition("/")[2]: pod for key, pod in pods_of(objects).items()}
    selectors = {
        (key, obj["metadata"]["name"]): selector.get("matchLabels", selector)
        for key, obj in objects.items()
        if obj["kind"] in {*WORKLOADS, "Service", "PodDisruptionBudget", "NetworkPolicy"}
        for selector in [obj["spec"].get("selector") or obj["spec"]["podSelector"]]
    }

    found = {
        (key, name): [
            other
            for other, pod in pods.items()
            if selector.items() <= pod["metadata"]["labels"].items()
        ]
        for (key, name), selector in selectors.items()
    }

    assert {(key, name): [name] for key, name in selectors} == found


def references(value: Any) -> Iterator[tuple[str, str, str]]:
    """Every reference to another object: kind, name, key."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key == "configMapRef":
            yield "ConfigMap", inner["name"], ""
        elif key == "secretRef":
            yield "Secret", inner["name"], ""
        elif key == "secretKeyRef":
            yield "Secret", inner["name"], inner["key"]
        elif key == "secret":
            yield from (("Secret", inner["secretName"], item["key"]) for item in inner["items"])
        elif key == "serviceAccountName":
            yield "ServiceAccount", inner, ""
        elif key == "serviceName":
            yield "Service", inner, ""
        elif key == "scaleTargetRef":
            yield inner["kind"], inner["name"], ""
        else:
            yield from references(inner)


@each_app
def test_build_refers_to_what_it_builds(app: App) -> None:
    """A reference to an object or a key that is not there would wedge a pod for ever."""
    objects = built(app)
    found = list(references(list(objects.values())))

    assert [] == [
        (kind, name, key)
        for kind, name, key in found
        if f"{kind}/{name}" not in objects or (key and key not in objects[f"{kind}/{name}"]["data"])
    ]
    assert 3 <= len(found)


@each_app
def test_build_mounts_the_volumes_it_declares(app: App) -> None:
    """Every mount has its volume, every volume its mount."""
    for key, obj in built(app).items():
        if obj["kind"] not in WORKLOADS:
            continue
        spec = obj["spec"]["template"]["spec"]
        declared = [v["name"] for v in spec["volumes"]]
        declared += [c["metadata"]["name"] for c in obj["spec"].get("volumeClaimTemplates", ())]
        mounted = [m["name"] for m in spec["containers"][0]["volumeMounts"]]

        assert sorted(declared) == sorted(mounted), key


@given(
    env=st.dictionaries(st.from_regex(r"[A-Z]{1,8}", fullmatch=True), st.text(max_size=20)),
    passwords=st.tuples(*[st.text(min_size=1, max_size=20)] * 3),
)
def test_build_takes_any_value(env: dict[str, str], passwords: tuple[str, str, str]) -> None:
    """Whatever stands in the environment or in the live Secret arrives as it is."""
    jwt_secret, redis_password, mongodb_password = passwords
    credentials = Credentials(
        jwt_secret=jwt_secret, redis_password=redis_password, mongodb_password=mongodb_password
    )

    objects = {str(key_of(o)): o for o in build(app_with({"env": env}), credentials)}

    assert env == objects["ConfigMap/shop-config"].get("data", {})
    sent = objects["Secret/shop-secrets"]["data"]["JWT_SECRET"]
    assert jwt_secret == base64.b64decode(sent).decode()


def test_build_refuses_an_app_without_an_image() -> None:
    """The message names the key and the file."""
    with pytest.raises(ConfigError) as refused:
        build(app_with({"image": ""}), CREDENTIALS)

    assert (
        "/home/ann/shop/jac.toml: converge.kubernetes.image: is not given; name the image that "
        "runs jac serve on this app"
    ) == str(refused.value)


@each_app
def test_keys_of_desired_are_those_of_what_is_built(app: App) -> None:
    """Also where no image is given, and where the shelf has no folder of its own."""
    kubernetes = app.settings.kubernetes.model_copy(update={"image": None})
    database = app.settings.database.model_copy(update={"shelf_db_path": "shelf.db"})
    unfit = app.settings.model_copy(update={"kubernetes": kubernetes, "database": database})

    keys = {*keys_of_desired(replace(app, settings=unfit))}

    assert {key_of(obj) for obj in build(app, CREDENTIALS) if not is_extra(obj)} == keys


def test_build_keeps_one_app_apart_from_another() -> None:
    """Two apps share no object, and neither selects the other's pods."""
    one, other = (build(app_with(name=name), CREDENTIALS) for name in ("shop", "shop-eu"))

    assert set() == {key_of(obj) for obj in one} & {key_of(obj) for obj in other}
    assert "us" != owner_of(one[0], "shop-eu")
