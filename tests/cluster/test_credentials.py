"""Somebody edits the generated secrets: what is none is put back, and a new one counts."""

import base64
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.e2e.scale_command import environment, run_scale
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"
"""
SECRET = "Secret/shop-credentials"
NEW = "rotated-on-purpose-" * 4


@pytest.fixture
def api(cluster_with_controllers: ControlPlane) -> Api:
    """An admin's client that is not the project's own."""
    return cluster_with_controllers.api


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app with both stores."""
    return write_app(tmp_path_factory.mktemp("secretive"), TOML.format(namespace="secretive"))


@pytest.fixture(scope="module")
def shop(cluster_with_controllers: ControlPlane, file: Path) -> Iterator[RunningLoop]:
    """The same, under watch."""
    with running_loop(file, cluster_with_controllers.kubeconfig) as running:
        wait_until(lambda: running.view.ready, 60)
        yield running


def secret(api: Api, name: str = "shop-credentials") -> dict[str, str]:
    """The values that are there."""
    return dict(api.get(path_of("Secret", "secretive", name))["data"])


def put(api: Api, key: str, value: str | None) -> None:
    """Somebody writes one value, or takes it away."""
    data = {key: None if value is None else base64.b64encode(value.encode()).decode()}
    path = path_of("Secret", "secretive", "shop-credentials")
    api.patch(f"{path}?fieldManager=kubectl-edit", {"data": data})


def templates(api: Api) -> dict[str, Any]:
    """What every pod is made from: another one rolls it."""
    return {
        f"{kind}/{obj['metadata']['name']}": obj["spec"]["template"]
        for kind in ("Deployment", "StatefulSet")
        for obj in api.get(path_of(kind, "secretive"))["items"]
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("jwt-secret", "x", id="one byte signs tokens"),
        pytest.param("mongodb-password", "", id="an empty password"),
        pytest.param("redis-password", None, id="a password is gone"),
    ],
)
def test_loop_puts_back_what_is_no_secret(
    shop: RunningLoop, api: Api, key: str, value: str | None
) -> None:
    """Healed like any drift, named, and no pod rolls for it."""
    before, running = secret(api), templates(api)
    told = len(shop.view.heals)
    put(api, key, value)
    wait_until(lambda: len(shop.view.heals) > told)
    assert (before, running) == (secret(api), templates(api))
    heal = shop.view.heals[-1]
    # Of a field that is gone the server does not record who took it.
    who = None if value is None else "kubectl-edit"
    assert (SECRET, who) == (str(heal.key), heal.who)
    assert f"data.{key}" in heal.what


def test_loop_takes_a_new_secret_and_says_that_pods_roll(shop: RunningLoop, api: Api) -> None:
    """So one rotates it: it counts from now on, wherever it is read."""
    before = templates(api)
    screen = len(shop.view.screen.getvalue())
    put(api, "jwt-secret", NEW)
    wait_until(lambda: before["Deployment/shop"] != templates(api)["Deployment/shop"])
    wait_until(lambda: "Deployment/shop configured" in shop.view.screen.getvalue()[screen:])
    told = shop.view.screen.getvalue()[screen:]
    taken = f"{SECRET} taken over from kubectl-edit (rolling restart; the values that are there"
    assert taken in told
    assert NEW not in told
    for name in ("Secret/shop-secrets", "Deployment/shop"):
        (line,) = [it for it in told.splitlines() if it.startswith(f"{name} configured")]
        assert "(rolling restart)" in line
    assert NEW == base64.b64decode(secret(api, "shop-secrets")["JWT_SECRET"]).decode()


def test_scale_puts_back_what_the_pods_still_know(
    cluster_with_controllers: ControlPlane, api: Api, shop: RunningLoop, file: Path
) -> None:
    """A run that begins has no memory; the app's own environment has the same values."""
    wait_until(lambda: shop.view.ready, 60)
    shop.loop.stop()
    shop.thread.join(10)
    before, running = secret(api), templates(api)
    for key, value in (("jwt-secret", "x"), ("mongodb-password", ""), ("redis-password", None)):
        put(api, key, value)
    done = run_scale(file, kubeconfig=cluster_with_controllers.kubeconfig)
    assert (0, "") == (done.code, done.err), done.out
    assert (before, running) == (secret(api), templates(api))
    assert f"~ update   {SECRET} (no restart; changed by kubectl-edit)" in done.out


def test_scale_tells_the_way_out_of_sealed_secrets(
    cluster_with_controllers: ControlPlane, api: Api, shop: RunningLoop, file: Path, kubectl: Path
) -> None:
    """Nobody can undo an `immutable: true`, but the commands of the message: no value is lost."""
    shop.loop.stop()
    shop.thread.join(10)
    kubeconfig, names = cluster_with_controllers.kubeconfig, ("shop-credentials", "shop-secrets")
    before, running = [secret(api, name) for name in names], templates(api)
    for name in names:
        api.patch(path_of("Secret", "secretive", name), {"immutable": True})
    refused = run_scale(file, kubeconfig=kubeconfig)
    commands = re.findall(r"^x refuse .*; make it anew: (.*)$", refused.out, re.MULTILINE)
    assert (1, 2) == (refused.code, len(commands)), refused
    places = f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        env = environment(kubeconfig, {"PATH": places})
        subprocess.run(command, shell=True, env=env, check=True, timeout=60)  # noqa: S602
    done = run_scale(file, kubeconfig=kubeconfig)
    assert (0, "") == (done.code, done.err), done.out
    assert (before, running) == ([secret(api, name) for name in names], templates(api))


def test_scale_mints_no_other_password_for_a_database_that_has_one(
    cluster_with_controllers: ControlPlane, api: Api, shop: RunningLoop, file: Path
) -> None:
    """Where nobody knows it any more, a person has to; nothing is written."""
    shop.loop.stop()
    shop.thread.join(10)
    put(api, "mongodb-password", None)
    api.delete(path_of("Secret", "secretive", "shop-secrets"))
    done = run_scale(file, kubeconfig=cluster_with_controllers.kubeconfig)
    assert (1, True) == (done.code, "the database on its volume knows no other" in done.one_message)
    assert "mongodb-password" not in secret(api)
    status = run_scale(file, "--status", kubeconfig=cluster_with_controllers.kubeconfig)
    told = status.out.splitlines()
    assert (1, "") == (status.code, status.err)
    assert "the database on its volume knows no other" in told[0]
    assert any(line.startswith("StatefulSet/shop-mongodb") for line in told[1:]), status.out
