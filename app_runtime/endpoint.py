"""One way to call a walker or function over HTTP.

It changes with what happens between a request and its answer.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Security
from starlette.responses import Response

from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.program import GUEST_ROOT
from jac_converge.app_runtime.bridge.streaming import Stream
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.describing import described
from jac_converge.app_runtime.events import EventStream
from jac_converge.app_runtime.identity import Identity, sent_token
from jac_converge.app_runtime.outcomes import outcome_of
from jac_converge.app_runtime.parameters import parameters_of
from jac_converge.app_runtime.problems import answer_with
from jac_converge.app_runtime.receiving import Received, Receiver
from jac_converge.app_runtime.signatures import Signature

__all__ = ["Endpoint", "Server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What every endpoint of a process shares."""

    calls: Calls
    identity: Identity
    draining: Callable[[], bool]
    """Says whether the server has been told to stop."""
    max_text: int
    """Bytes of a body, and of one field of a form that is no file."""


class Endpoint:
    """What answers the calls of one walker or function by one method and path."""

    def __init__(
        self,
        spec: WalkerSpec | FunctionSpec,
        signature: Signature,
        server: Server,
        *,
        method: str,
        path: str,
    ) -> None:
        """Work out where each field is.

        Raises:
            BadDeclaration: the path and the fields do not fit.
        """
        self.spec, self.signature, self._server = spec, signature, server
        self._in_query = method == "GET"
        self.parameters = parameters_of(spec, method, path)
        self._receiver = Receiver(spec, signature, self.parameters, max_text=server.max_text)
        self._takes_node = "node" not in self.parameters

    @property
    def takes_files(self) -> bool:
        """Whether it wants a form."""
        return any(one.source == "file" for one in self.parameters.values())

    async def answer(self, request: Request) -> Response:
        """Answer a call."""
        server = self._server
        claims = server.identity.speaking(sent_token(request), required=not self.spec.public)
        received = await self._receiver.read(request)
        streams = False
        try:
            node = request.path_params.get("node") if self._takes_node else None
            order = Order(
                spec=self.spec,
                fields=received.values,
                root=lambda read: server.identity.root(claims, GUEST_ROOT, read),
                node=node or received.node,
            )
            outcome = await outcome_of(order, server.calls)
            if outcome.stream is None:
                return answer_with(outcome.text)
            streams = True
            items = self._items(outcome.stream, received)
            return EventStream(self.spec.name, items, draining=server.draining)
        finally:
            if not streams:
                await received.close()

    def described(self, *, at_node: bool) -> Callable[..., Any]:
        """Give what FastAPI describes by its arguments."""
        identity = self._server.identity
        who = Security(identity.optional if self.spec.public else identity.required)
        return described(
            self.spec,
            self.signature,
            self.parameters,
            who=who,
            at_node=at_node,
            in_query=self._in_query,
        )

    async def _items(self, stream: Stream, received: Received) -> AsyncGenerator[bytes]:
        items = self._server.calls.feeds.items(stream)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()
            await received.close()
