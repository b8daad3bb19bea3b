"""A stand-in for the part of a kubelet that gives logs, ports and shells, behind a real API server.

Lines come when a test says so, and connections break when it says so, which no real kubelet does
on demand. Behind a port, and in a shell, is somebody who answers in capital letters. It changes
with what the API server asks of kubelets; a real one is asked by the tests of real nodes.
"""

import ssl
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from tests.servers.certificates import Authority
from tests.servers.http_thread import HOST, HttpThread

__all__ = ["KubeletStandIn"]


class KubeletStandIn(HttpThread):
    """The server as a context manager, to be named by a Node."""

    def __init__(self) -> None:
        """Take a port."""
        self._folder = tempfile.TemporaryDirectory(prefix="kubelet-")
        self._changed = threading.Condition()
        self._lines: defaultdict[str, list[str]] = defaultdict(list)
        self._breaks = 0
        self._ended = False
        self.asked: list[tuple[str, Mapping[str, Sequence[str]]]] = []
        """Each request: pod, and query."""
        super().__init__(self._handler(), name="kubelet")
        pair = Authority(Path(self._folder.name)).issue("kubelet", "kubelet", addresses=[HOST])
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*pair)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End, with every answer."""
        self._ended = True
        self.break_all()
        super().__exit__(kind, error, trace)
        self._folder.cleanup()

    def node(self, name: str) -> dict[str, Any]:
        """Describe a node whose kubelet this is."""
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name},
            "status": {
                "addresses": [{"type": "InternalIP", "address": HOST}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            },
        }

    def write(self, pod: str, *lines: str) -> None:
        """Let a pod write lines, each of which begins with a time."""
        with self._changed:
            self._lines[pod] += lines
            self._changed.notify_all()

    def break_all(self) -> None:
        """End every answer in the middle."""
        with self._changed:
            self._breaks += 1
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                if "Upgrade" in self.headers:
                    _Socket(self).serve(url.path.split("/")[1])
                    return
                pod = url.path.split("/")[3]
                self.send_response(200)
                self.end_headers()
                stand_in._answer(self, pod, parse_qs(url.query))

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler

    def _answer(
        self, handler: BaseHTTPRequestHandler, pod: str, query: Mapping[str, Sequence[str]]
    ) -> None:
        # As kubelets do: they compare with whole seconds.
        since = query.get("sinceTime", [""])[0].rstrip("Z")
        with self._changed:
            self.asked.append((pod, query))
            breaks, sent = self._breaks, 0
            while True:
                lines = [line for line in self._lines[pod] if line[: len(since)] >= since]
                for line in lines[sent:]:
                    handler.wfile.write(f"{line}\n".encode())
                sent = len(lines)
                if "follow" not in query or self._ended or breaks != self._breaks:
                    return
                self._changed.wait(timeout=10)


class _Socket:
    """A websocket with channels: the first byte of a message says which."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._socket = handler.connection
        self._protocol = ServerProtocol(subprotocols=[Subprotocol("v4.channel.k8s.io")])
        head = f"{handler.requestline}\r\n{handler.headers}".replace("\r\n", "\n")
        self._protocol.receive_data(head.replace("\n", "\r\n").encode())
        (request,) = self._protocol.events_received()
        self._protocol.send_response(self._protocol.accept(request))  # type: ignore[arg-type]
        self._flush()

    def serve(self, action: str) -> None:
        """Talk until the other side has enough, or the shell is told to exit."""
        if action == "portForward":
            for channel in (0, 1):
                self._say(channel, b"\x40\x1f")
        while data := self._socket.recv(65536):
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                # Whoever leaves may have asked for an answer before.
                leaving = self._protocol.state is not State.OPEN
                if isinstance(event, Frame) and len(event.data) > 1 and not leaving:
                    self._answer(action, event.data[0], bytes(event.data[1:]))
            self._flush()

    def _answer(self, action: str, channel: int, data: bytes) -> None:
        if action == "portForward":
            self._say(channel, data.upper())
        elif channel == 4:
            self._say(1, b"size " + data + b"\r\n")
        else:
            self._say(1, data.upper())
            if b"exit" in data:
                self._say(3, b'{"status": "Success"}')
                self._protocol.send_close(1000)

    def _say(self, channel: int, data: bytes) -> None:
        self._protocol.send_binary(bytes((channel,)) + data)
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._socket.sendall(data)
