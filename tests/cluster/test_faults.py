"""The loop behind a network that fails: it survives, resumes, heals, and makes no storm."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3

from jac_converge.reconciler.converge import WATCHED
from jac_converge.reconciler.kube_cluster import Limits
from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import RunningLoop, running_loop, wait_until, write_app
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane
from tests.servers.tcp_proxy import TcpProxy

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
image = "example/shop:1"

[converge.kubernetes.redis]
enabled = false

[converge.kubernetes.mongodb]
enabled = false
"""
OUTAGE = 8.0
"""Seconds."""
MOST = 5
"""Attempts of each thread in that time; 72 in all were measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A loop whose every byte passes a proxy; the test itself has a way around it."""

    running: RunningLoop
    proxy: TcpProxy
    server: ControlPlane
    service: str
    """Path of the object that is edited."""

    @property
    def api(self) -> Api:
        """Direct."""
        return self.server.api

    def edit(self) -> None:
        """Somebody changes what the Service selects."""
        self.api.patch(
            f"{self.service}?fieldManager=kubectl-edit", {"spec": {"selector": {"a": "b"}}}
        )

    def wait_until_healed(self, seconds: float = 45.0) -> None:
        """The edit is gone again."""
        wait_until(lambda: "a" not in self.api.get(self.service)["spec"]["selector"], seconds)

    @property
    def writes(self) -> int:
        """Steps the loop has taken."""
        return sum(len(outcome.results) for outcome in self.running.view.outcomes)

    def said(self, words: str) -> list[str]:
        """Messages with these words."""
        return [message for message in self.running.view.messages if words in message]


@contextmanager
def behind_proxy(
    server: ControlPlane, namespace: str, folder: Path, *, limits: Limits | None = None
) -> Iterator[Behind]:
    """Deploy through the proxy, and watch."""
    port = urllib3.util.parse_url(server.url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        kubeconfig = server.kubeconfig_for(
            "admin", groups=["system:masters"], url=f"https://127.0.0.1:{proxy.port}"
        )
        file = write_app(folder, TOML.format(namespace=namespace))
        with running_loop(file, kubeconfig, limits=limits) as running:
            service = path_of("Service", namespace, "shop")
            wait_until(lambda: bool(running.view.rows))
            yield Behind(running=running, proxy=proxy, server=server, service=service)


@pytest.fixture
def behind(
    control_plane: ControlPlane,
    unused_namespace: str,
    tmp_path: Path,
) -> Iterator[Behind]:
    """A deployed app under watch."""
    with behind_proxy(control_plane, unused_namespace, tmp_path) as it:
        yield it


def test_loop_resumes_after_a_cut(behind: Behind) -> None:
    """Every connection is reset while somebody edits: healed, by exactly one write."""
    before = behind.writes
    behind.proxy.cut()
    behind.edit()
    behind.wait_until_healed()
    wait_until(lambda: behind.writes > before)
    assert 1 == behind.writes - before


def test_loop_makes_no_storm_while_the_server_refuses(behind: Behind) -> None:
    """Backs off while it is away, says it at most once, and goes on within seconds."""
    before = behind.writes
    attempts: list[str] = []
    behind.proxy.refuse()
    behind.edit()
    with counted_attempts(attempts):
        time.sleep(OUTAGE)
    behind.proxy.resume()
    behind.wait_until_healed()
    wait_until(lambda: behind.writes > before)
    # Each watch and the lease try, and the first pass; 0.5 s doubling to 30 s, with full jitter.
    assert 0 < len(attempts) <= MOST * (len(WATCHED) + 1), len(attempts)
    assert 1 == behind.writes - before
    assert len(behind.said("does not answer")) <= 1


@contextmanager
def counted_attempts(attempts: list[str]) -> Iterator[None]:
    """Count what urllib3 tries, from its own log."""

    class Counter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Starting new HTTPS connection" in record.msg:
                attempts.append(record.msg)

    logger, handler = logging.getLogger("urllib3.connectionpool"), Counter()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_loop_notices_a_mute_connection(
    control_plane: ControlPlane,
    unused_namespace: str,
    tmp_path: Path,
) -> None:
    """Not a byte passes, and nothing ends: it gives the connections up, and makes new ones."""
    # In place of the 75 s after which silence, without even a bookmark, means a dead peer.
    limits = Limits(silence=urllib3.Timeout(connect=1.0, read=1.5))
    with behind_proxy(control_plane, unused_namespace, tmp_path, limits=limits) as behind:
        before = behind.writes
        behind.proxy.stall()
        behind.edit()
        accepted = behind.proxy.accepted
        wait_until(lambda: behind.proxy.accepted >= accepted + len(WATCHED))
        behind.proxy.resume()
        behind.wait_until_healed()
        wait_until(lambda: behind.writes > before)
        assert 1 == behind.writes - before


def test_loop_stops_within_a_second_while_everything_hangs(behind: Behind) -> None:
    """A request that hangs, a watch that is mute, and a lease that cannot be released."""
    behind.edit()
    behind.proxy.stall()
    started = time.monotonic()
    behind.running.loop.stop()
    behind.running.thread.join(5)
    assert time.monotonic() - started < 1.2
    behind.proxy.resume()


def test_loop_survives_the_death_of_the_server(
    own_control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Killed, compacted and started again: every version is too old, and all goes on from a list.

    What was deleted meanwhile comes back; what nobody touched is not written again.
    """
    with behind_proxy(own_control_plane, unused_namespace, tmp_path) as behind:
        before = behind.writes
        behind.proxy.refuse()
        behind.edit()
        config = path_of("ConfigMap", unused_namespace, "shop-config")
        behind.api.delete(config)
        own_control_plane.compact()
        behind.proxy.resume()
        behind.wait_until_healed()
        wait_until(lambda: behind.writes >= before + 2)
        assert behind.api.get(config)
        behind.edit()
        behind.wait_until_healed(5)
        wait_until(lambda: behind.writes >= before + 3)
        assert 3 == behind.writes - before


def test_loop_keeps_its_lease_when_an_answer_is_lost(behind: Behind) -> None:
    """A renewal that was written, but never answered, does not lock out its own sender."""
    lease = behind.running.lease
    wait_until(lambda: lease.held)
    live = f"/apis/coordination.k8s.io/v1/namespaces/{behind.running.source.app.namespace}"
    path = f"{live}/leases/{lease.name}"
    stamp = {"spec": {"renewTime": "2030-01-01T00:00:00.000000Z"}}
    behind.api.patch(path, stamp)
    assert (True, None) == (lease.acquire(), lease.rival)
