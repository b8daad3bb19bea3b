"""The desired state as text for kubectl: complete, and with no secret unless asked for."""

import base64
import json
from dataclasses import replace

import pytest
import yaml

from jac_converge.config.load import App
from jac_converge.config.manifests import Manifest
from jac_converge.reconciler.build import build
from jac_converge.reconciler.export import as_json, as_yaml, left_out, without_secrets
from jac_converge.reconciler.objects import key_of
from tests.unit.reconciler.build.apps import APPS, CREDENTIALS, app_with

each_app = pytest.mark.parametrize("app", APPS.values(), ids=APPS.keys())


def bare(app: App) -> str:
    """Export without secrets."""
    return as_yaml(app, without_secrets(app), left_out(app))


@each_app
def test_export_with_secrets_is_what_is_built(app: App) -> None:
    """Object by object, value by value, in order."""
    objects = build(app, CREDENTIALS)
    assert list(objects) == list(yaml.safe_load_all(as_yaml(app, objects)))
    assert list(objects) == json.loads(as_json(objects))["items"]


@each_app
def test_export_without_secrets_has_every_other_object(app: App) -> None:
    """In the same order, and each Secret is named with its keys."""
    built = build(app, CREDENTIALS)
    found = list(yaml.safe_load_all(bare(app)))
    assert [key_of(obj) for obj in built if obj["kind"] != "Secret"] == [*map(key_of, found)]
    for secret in (obj for obj in built if obj["kind"] == "Secret"):
        made = f"#   kubectl create secret generic {secret['metadata']['name']} --namespace"
        (line,) = (line for line in bare(app).splitlines() if line.startswith(made))
        assert [] == [key for key in secret.get("data", ()) if f"--from-literal={key}=" not in line]


@each_app
def test_export_without_secrets_shows_none(app: App) -> None:
    """Neither plain nor encoded; nor a digest that was made from one."""
    settings = app.settings
    given = (settings.database.mongodb_uri, settings.database.redis_url, settings.jwt.secret)
    secrets = [value.get_secret_value() for value in (*given, *settings.secrets.values()) if value]
    forms = [*secrets, *(base64.b64encode(value.encode()).decode() for value in secrets)]
    assert [] == [form for form in (*forms, "jac-converge/config") if form in bare(app)]


def test_export_of_a_manifest_of_the_users_own_names_its_file() -> None:
    """Its Secret is there already: in that file."""
    content = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys"},
        "stringData": {"door": "open-sesame"},
    }
    app = replace(app_with(), manifests=(Manifest(file="k8s/a.yaml", line=7, content=content),))
    assert "#   Secret/keys is the one of k8s/a.yaml:7\n" in bare(app)
    assert "open-sesame" not in bare(app)
    assert "b3Blbi1zZXNhbWU" not in bare(app)


@pytest.mark.parametrize("value", ["1e3", "0o7", "y", "on", "", "~", "2024-01-02", "1_000", ".5e1"])
def test_export_quotes_text_that_others_take_for_something_else(value: str) -> None:
    """YAML's versions differ in what is a number and what is true."""
    app = app_with({"env": {"VALUE": value}})
    line = next(line for line in bare(app).splitlines() if line.startswith("  VALUE:"))
    assert f"  VALUE: '{value}'" == line


def test_export_says_what_it_holds() -> None:
    """A file that is found later speaks for itself."""
    app = app_with()
    assert "Its Secrets are left out" in bare(app)
    assert "keep it to yourself" in as_yaml(app, build(app, CREDENTIALS))
