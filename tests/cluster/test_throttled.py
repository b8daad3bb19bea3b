"""An API server that asks for patience: real 429s, by its own priority and fairness."""

import contextlib
import http.client
import json
import logging
import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from jac_converge.reconciler.converge import WATCHED
from jac_converge.reconciler.errors import Throttled
from jac_converge.reconciler.kube_cluster import connect
from jac_converge.reconciler.objects import Object, kind_named
from jac_converge.reconciler.ownership import labels_of, selector_of
from jac_converge.reconciler.retry import retried
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.servers.api import ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.tcp_proxy import TcpProxy

FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io"
LEAST = 1.0
"""Seconds. Retry-After of an API server is a whole number, and this at least."""

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"

[converge.kubernetes.redis]
enabled = false

[converge.kubernetes.mongodb]
enabled = false
"""


class Jail:
    """A priority level that serves one request at a time, and a user whose requests all go there.

    That one is a request whose body never comes to its end: everything else is turned away.
    """

    def __init__(self, server: ControlPlane) -> None:
        self.user = f"hasty-{secrets.token_hex(4)}"
        self.kubeconfig = server.kubeconfig_for(self.user)
        self._server = server
        self._api = server.api
        self._as_user = server.api_for(self.user)
        self._held: http.client.HTTPSConnection | None = None
        binding = {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": self.user},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": RBAC, "kind": "User", "name": self.user}],
        }
        self._api.post(f"/apis/{RBAC}/v1/clusterrolebindings", binding)
        limited = {
            "nominalConcurrencyShares": 0,
            "lendablePercent": 0,
            "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Reject"},
        }
        level = {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "PriorityLevelConfiguration",
            "metadata": {"name": self.user},
            "spec": {"type": "Limited", "limited": limited},
        }
        self._api.post(f"{FLOW}/prioritylevelconfigurations", level)
        self.let_go()

    def let_go(self) -> None:
        """Answer the user as everybody else, and wait until that is so."""
        with contextlib.suppress(ApiFailed):
            self._api.delete(f"{FLOW}/flowschemas/{self.user}")
        self._release()
        wait_until(lambda: self._status() == 200)

    def take(self) -> None:
        """Answer the user 429 from now on."""
        every: dict[str, Any] = {
            "subjects": [{"kind": "User", "user": {"name": self.user}}],
            "resourceRules": [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
                | {"clusterScope": True, "namespaces": ["*"]}
            ],
        }
        schema = {
            "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
            "kind": "FlowSchema",
            "metadata": {"name": self.user},
            "spec": {
                "priorityLevelConfiguration": {"name": self.user},
                "matchingPrecedence": 2,
                "rules": [every],
            },
        }
        self._api.post(f"{FLOW}/flowschemas", schema)
        wait_until(self._is_full)

    def remove(self) -> None:
        """Leave the server as it was."""
        self._release()
        for path in (f"flowschemas/{self.user}", f"prioritylevelconfigurations/{self.user}"):
            with contextlib.suppress(ApiFailed):
                self._api.delete(f"{FLOW}/{path}")

    def _is_full(self) -> bool:
        """Take the one place, and see whether there is another: the server learns of rules late."""
        self._release()
        self._hold()
        return self._status() == 429

    def _hold(self) -> None:
        login = json.loads(self.kubeconfig.read_text())["users"][0]["user"]
        tls = ssl.create_default_context(cafile=str(self._server.ca))
        tls.load_cert_chain(login["client-certificate"], login["client-key"])
        url = urlsplit(self._server.url)
        assert url.hostname is not None
        self._held = http.client.HTTPSConnection(url.hostname, url.port, context=tls)
        self._held.putrequest("POST", "/api/v1/namespaces/default/configmaps?dryRun=All")
        self._held.putheader("Content-Type", "application/json")
        self._held.putheader("Content-Length", "1000")
        self._held.endheaders(b"{")

    def _release(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def _status(self) -> int:
        try:
            self._as_user.get("/api/v1/namespaces")
        except ApiFailed as failed:
            return failed.status
        return 200


@pytest.fixture
def jail(control_plane: ControlPlane) -> Iterator[Jail]:
    """A user who can be made to wait."""
    jail = Jail(control_plane)
    yield jail
    jail.remove()


def config_map() -> Object:
    """A small object of ours."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "shop", "labels": labels_of("shop", "app")},
    }


def test_apply_waits_as_long_as_the_server_asks_and_is_repeated(namespace: str, jail: Jail) -> None:
    """Not sooner, and to its end."""
    cluster = connect(
        context=None,
        namespace=namespace,
        selector=selector_of("shop"),
        config_file=str(jail.kubeconfig),
    )
    began: list[float] = []
    asked: list[tuple[float, float | None]] = []
    written: list[Object] = []

    def apply() -> Object:
        began.append(time.monotonic())
        try:
            return cluster.apply(config_map())
        except Throttled as error:
            asked.append((time.monotonic(), error.retry_after))
            raise

    jail.take()
    run = partial(retried, apply, stop=Event(), patience=60)
    thread = Thread(target=lambda: written.append(run()), daemon=True)
    thread.start()
    wait_until(lambda: bool(asked))
    jail.let_go()
    thread.join(30)
    assert ["shop"] == [obj["metadata"]["name"] for obj in written]
    gaps = [(at - told, wait) for (told, wait), at in zip(asked, began[1:], strict=True)]
    assert [] == [(gap, wait) for gap, wait in gaps if wait is None or not LEAST <= wait <= gap]


class Answers(logging.Handler):
    """Every answer that urllib3 got: what was asked, when it came, and its status."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[tuple[str, float, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an answer; see `urllib3.connectionpool`."""
        if isinstance(record.args, tuple) and len(record.args) == 8:
            method, url, status = record.args[3], record.args[4], record.args[6]
            parts = urlsplit(str(url))
            what = "watch" if "watch" in parse_qs(parts.query) else method
            self.got.append((f"{what} {parts.path}", time.monotonic(), int(str(status))))

    def refused(self, prefix: str) -> set[str]:
        """What was answered 429 so far."""
        return {what for what, _, status in self.got if status == 429 and what.startswith(prefix)}

    def hasty(self) -> list[tuple[str, float]]:
        """What was asked again sooner than any server may have said."""
        last: dict[str, float] = {}
        found = []
        for what, at, status in self.got:
            if what in last and at - last[what] < LEAST:
                found.append((what, at - last[what]))
            last.pop(what, None)
            if status == 429:
                last[what] = at
        return found


@contextmanager
def counted_answers() -> Iterator[Answers]:
    """Listen to urllib3's own log."""
    logger, answers = logging.getLogger("urllib3.connectionpool"), Answers()
    level = logger.level
    logger.addHandler(answers)
    logger.setLevel(logging.DEBUG)
    try:
        yield answers
    finally:
        logger.removeHandler(answers)
        logger.setLevel(level)


def test_loop_lists_and_watches_no_sooner_than_the_server_asks(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path, jail: Jail
) -> None:
    """Turned away at its first lists, and again when every stream broke: then it goes on."""
    port = urllib3.util.parse_url(control_plane.url).port
    assert port is not None
    service = path_of("Service", unused_namespace, "shop")
    api = control_plane.api
    watched = len([kind for kind in WATCHED if not kind.needs])
    jail.take()
    with TcpProxy(port) as proxy, counted_answers() as answers:
        kubeconfig = control_plane.kubeconfig_for(jail.user, url=f"https://127.0.0.1:{proxy.port}")
        file = write_app(tmp_path, TOML.format(namespace=unused_namespace))
        with running_loop(file, kubeconfig) as running:
            wait_until(lambda: len(answers.refused("GET")) >= watched)
            jail.let_go()
            wait_until(lambda: bool(running.view.rows), 45)
            jail.take()
            proxy.cut()
            wait_until(lambda: len(answers.refused("watch")) >= watched)
            jail.let_go()
            api.patch(f"{service}?fieldManager=kubectl-edit", {"spec": {"selector": {"a": "b"}}})
            wait_until(lambda: "a" not in api.get(service)["spec"]["selector"], 45)
    assert kind_named("Service").plural in str(answers.refused("GET"))
    assert [] == answers.hasty()
