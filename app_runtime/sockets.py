"""Walkers as websockets: `/ws/NAME`, and `/ws/NAME/NODE` to start each call at a node.

A page of somebody else opens no connection: browsers ask nobody before they do, and so the origin
is looked at here. A token comes in the header, as a subprotocol, or in the first message; never in
the URL, which ends up in logs. It changes with how a connection begins.
"""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import FastAPI
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from jac_converge.app_runtime.audience import Audience
from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.bridge.introspect import WalkerSpec
from jac_converge.app_runtime.bridge.mistakes import Mistakes
from jac_converge.app_runtime.bridge.program import Program
from jac_converge.app_runtime.conversation import Conversation, Line
from jac_converge.app_runtime.endpoint import Server
from jac_converge.app_runtime.front import sent_path
from jac_converge.app_runtime.identity import sent_token
from jac_converge.app_runtime.problems import Problem, refusal
from jac_converge.app_runtime.signatures import signature_of

__all__ = ["Origins", "install", "websockets"]

PROTOCOL, BEARER = "jac", "bearer."
"""Who sends a token as a subprotocol offers both `jac` and `bearer.TOKEN`; we take the first."""


def websockets(program: Program) -> list[WalkerSpec]:
    """Return the walkers that are websockets."""
    return [spec for spec in program.walkers.values() if spec.rest.protocol == "websocket"]


class Origins:
    """The pages that may open a connection: the app's own, and those that may call it."""

    def __init__(self, allowed: Sequence[str], public_url: str | None) -> None:
        """Describe them.

        Args:
            allowed: origins, or `*`.
            public_url: at which browsers reach the app, if it is known.
        """
        self._any = "*" in allowed
        self._allowed = {one.lower() for one in allowed}
        if public_url is not None:
            parts = urlsplit(public_url)
            self._allowed.add(f"{parts.scheme}://{parts.netloc}".lower())

    def may(self, origin: str | None, host: str | None) -> bool:
        """Say whether a page may; who is no browser has none.

        Args:
            origin: of the page.
            host: that the connection was made to.
        """
        if origin is None or self._any or origin.lower() in self._allowed:
            return True
        # As text: what is no URL must not be an error, nor one without a host that of no host.
        _, _, place = origin.partition("://")
        return bool(place) and host is not None and place.lower() == host.lower()


def install(
    app: FastAPI, program: Program, server: Server, audience: Audience, origins: Origins
) -> None:
    """Add a route for each walker that is a websocket.

    Raises:
        BadDeclaration: it takes files, or its path has fields in it; a line for each.
    """
    openings, mistakes = [], Mistakes()
    for spec in websockets(program):
        if spec.files:
            names = ", ".join(sorted(spec.files))
            mistakes.add([f"{spec.name} is a websocket, and can take no file: {names}"])
        path = spec.rest.path or f"/ws/{spec.name}"
        if "{" in path:
            mistakes.add([f"path {path} of {spec.name}: that of a websocket has no fields"])
        line = Line(spec=spec, signature=signature_of(spec), server=server, audience=audience)
        openings.append((path, spec, _Opening(line, origins)))
    mistakes.tell()
    # Last those at a node, since a path of somebody else may look like one.
    for end in ("", "/{node}"):
        for path, spec, opening in openings:
            app.router.routes.append(_Route(f"{path}{end}", opening.open, spec))
    app.router.default = _nobody(app.router.default)


def _nobody(default: ASGIApp) -> ASGIApp:
    """Answer where there is no route, so that a wrong path does not look like a missing right."""

    async def nobody(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await default(scope, receive, send)
            return
        problem = Problem(404, f"there is no websocket {sent_path(scope)}")
        await WebSocket(scope, receive, send).send_denial_response(refusal(problem))

    return nobody


class _Route(WebSocketRoute):
    """The route of one walker, for whoever looks at the routes."""

    def __init__(
        self, path: str, open_: Callable[[WebSocket], Awaitable[None]], spec: WalkerSpec
    ) -> None:
        super().__init__(path, open_)
        self.spec = spec


class _Opening:
    """The handshake of connections to one walker."""

    def __init__(self, line: Line, origins: Origins) -> None:
        self._line = line
        self._origins = origins

    async def open(self, socket: WebSocket) -> None:
        """Begin a connection, or say why not."""
        try:
            token, protocol = self._look(socket)
        except Problem as problem:
            await socket.send_denial_response(refusal(problem))
            return
        node = socket.path_params.get("node")
        conversation = Conversation(socket, self._line, token=token, node=node and _plain(node))
        audience = self._line.audience
        audience.enter(conversation, stranger=self._is_stranger(token))
        try:
            await socket.accept(protocol)
            await conversation.run()
        finally:
            audience.exit(conversation, conversation.topic)

    def _look(self, socket: WebSocket) -> tuple[str | None, str | None]:
        """Return token and subprotocol of a handshake.

        Raises:
            Problem: there will be no connection.
        """
        server, audience = self._line.server, self._line.audience
        origin, host = socket.headers.get("origin"), socket.headers.get("host")
        if not self._origins.may(origin, host):
            audit("origin_refused", socket)
            text = f"{origin} may not connect; name it in [converge.server] cors_origins"
            raise Problem(403, text)
        offered: list[str] = socket.scope.get("subprotocols", [])
        token = sent_token(socket)
        if token is None:
            sent = [one.removeprefix(BEARER) for one in offered if one.startswith(BEARER)]
            token = sent[0] if sent else None
        if token is not None:
            server.identity.caller(token, required=True)
        if server.draining() or audience.full or (self._is_stranger(token) and audience.crowded):
            text = "the server stops" if server.draining() else "too many websockets are open"
            raise Problem(503, f"{text}; connect again", headers={"Retry-After": "1"})
        return token, PROTOCOL if PROTOCOL in offered else None

    def _is_stranger(self, token: str | None) -> bool:
        """Say whether somebody has to say in the first message who they are."""
        return token is None and not self._line.spec.public


def _plain(node: str) -> str:
    """Return an id in the one form that a topic has it in; what is none is refused later."""
    try:
        return UUID(node).hex
    except ValueError:
        return node
