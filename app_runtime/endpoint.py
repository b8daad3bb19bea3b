"""One way to call a walker or function over HTTP.

It changes with what happens between a request and its answer.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request, Security
from starlette.responses import Response

from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.streaming import Stream
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.describing import described
from jac_converge.app_runtime.events import EventStream
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.middleware import Middleware
from jac_converge.app_runtime.outcomes import outcome_of
from jac_converge.app_runtime.parameters import parameters_of
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer_with
from jac_converge.app_runtime.receiving import Received, Receiver
from jac_converge.app_runtime.refusals import noted
from jac_converge.app_runtime.signatures import Signature
from jac_converge.app_runtime.vigil import Listener, Vigil

__all__ = ["Endpoint", "Server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What every endpoint of a process shares."""

    calls: Calls
    identity: Identity
    middleware: Middleware
    vigil: Vigil
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
        caller = server.identity.calling(request, required=not self.spec.public)
        await server.middleware.admit(request, caller)
        received = await self._receiver.read(request)
        streams = False
        try:
            node = request.path_params.get("node") if self._takes_node else None
            order = Order(
                spec=self.spec,
                fields=received.values,
                root=lambda read: server.identity.root(caller, self.spec, read),
                node=node or received.node,
            )
            with noted(request, caller):
                outcome = await outcome_of(order, server.calls)
            if outcome.stream is None:
                # A cache in between knows an answer by its URL, and not by whose it is.
                private = self._in_query and caller is not None
                return answer_with(outcome.text, NO_STORE if private else None)
            streams = True
            items = self._items(outcome.stream, received)
            watched = partial(self._watched, request)
            return EventStream(self.spec.name, items, draining=server.draining, watched=watched)
        finally:
            if not streams:
                await received.close()

    def _watched(
        self, request: Request, end: Callable[[Problem], None]
    ) -> AbstractContextManager[None]:
        identity = self._server.identity
        listener = Listener(
            connection=request,
            caller=lambda: identity.calling(request, required=not self.spec.public),
            spec=self.spec,
            end=end,
        )
        return self._server.vigil.over(listener)

    def described(self, *, at_node: bool) -> Callable[..., Any]:
        """Give what FastAPI describes by its arguments."""
        return described(
            self.spec,
            self.signature,
            self.parameters,
            who=Security(self._server.identity.either),
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
