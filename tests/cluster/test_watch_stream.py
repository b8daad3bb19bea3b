"""What no real server can be made to send on demand: our stream's answer, and the client's.

The last two tests guard known faults of the official client, the reasons why `cluster.py` reads
its streams itself. When one of them fails, that reason is gone: look whether the other one is, too.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from tempfile import NamedTemporaryFile
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.watch import Watch

from jac_converge.reconciler.errors import Gone, ServerFault
from jac_converge.reconciler.kube_cluster import KubeCluster, connect
from jac_converge.reconciler.objects import kind_named
from jac_converge.reconciler.position import Changed

ADDED: dict[str, Any] = {
    "type": "ADDED",
    "object": {"kind": "ConfigMap", "metadata": {"name": "a", "uid": "1", "resourceVersion": "5"}},
}
TOO_OLD = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A server that answers every request with the same lines."""

    client: ApiClient
    cluster: KubeCluster
    versions: list[str]
    """The resource version that each request started from."""


@contextmanager
def streaming(*lines: bytes) -> Iterator[Script]:
    """Serve a stream of these lines."""
    versions: list[str] = []

    class Stream(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            versions.extend(parse_qs(urlsplit(self.path).query).get("resourceVersion", [""]))
            self.send_response(200)
            self.end_headers()
            for line in lines:
                self.wfile.write(line + b"\n")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Stream) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), name="stream")
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        client = ApiClient(Configuration(host=url))
        try:
            cluster = _connected(url)
            yield Script(client=client, cluster=cluster, versions=versions)
        finally:
            server.shutdown()
            thread.join()


def _connected(url: str) -> KubeCluster:
    content = {
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    with NamedTemporaryFile("w") as file:
        json.dump(content, file)
        file.flush()
        return connect(context="test", namespace="shop", selector="a=b", config_file=file.name)


def test_watch_raises_gone_for_an_error_event_in_a_living_stream() -> None:
    """A 410 may come as an event, after others, under an HTTP 200."""
    events = (json.dumps(ADDED).encode(), json.dumps(TOO_OLD).encode())
    with streaming(*events) as script:
        stream = iter(script.cluster.watch(kind_named("ConfigMap"), "4", seconds=5))
        assert Changed("ADDED", ADDED["object"]) == next(stream)
        with pytest.raises(Gone, match="too old"):
            next(stream)


@pytest.mark.parametrize("line", [b"<html>", b"[]", b'{"type": "ADDED"}'])
def test_watch_tells_a_line_that_is_no_event(line: bytes) -> None:
    """Some proxy's page in the middle of a stream is a fault, not a crash."""
    with streaming(line) as script, pytest.raises(ServerFault, match="not a watch event"):
        list(script.cluster.watch(kind_named("ConfigMap"), "4", seconds=5))


@pytest.mark.parametrize(
    "answer", [b"<html>log in</html>", b"", b"[]", b"{}", b'{"metadata": {}}', b'{"items": []}']
)
def test_list_tells_an_answer_that_is_none(answer: bytes) -> None:
    """A captive portal answers 200 to everything: a fault that passes, not a crash."""
    with streaming(answer) as script, pytest.raises(ServerFault, match="configmaps list"):
        script.cluster.list_kind(kind_named("ConfigMap"))


@pytest.mark.parametrize("answer", [b"<html>log in</html>", b"[]", b"{}"])
def test_get_tells_an_answer_that_is_no_object(answer: bytes) -> None:
    """The lease, and the identity of the cluster, are read like this."""
    with streaming(answer) as script, pytest.raises(ServerFault, match="not the API server's"):
        script.cluster.get(kind_named("ConfigMap"), "shop")


def test_client_still_fails_over_a_410_that_it_does_not_decode() -> None:
    """In kubernetes 37.0.2: a KeyError where a 410 was sent, and no way to tell that it was one."""
    with streaming(json.dumps(TOO_OLD).encode()) as script:
        watch = Watch().stream(
            CoreV1Api(script.client).list_namespaced_config_map, "shop", deserialize=False
        )
        with pytest.raises(KeyError, match="raw_object"):
            next(watch)


def test_client_still_loses_its_place_in_an_untyped_watch() -> None:
    """In kubernetes 37.0.2: after the version 5 it goes on from the 4 that it began with."""

    def untyped(**query: Any) -> Any:
        return CoreV1Api(script.client).list_namespaced_config_map("shop", **query)

    with streaming(json.dumps(ADDED).encode()) as script:
        watch = Watch()
        events = watch.stream(untyped, resource_version="4")
        for _ in range(2):
            next(events)
        watch.stop()
        events.close()
    assert ["4", "4"] == script.versions
