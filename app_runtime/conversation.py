"""One websocket: each message is one call of its walker, in a commit of its own, in turn.

Who has sent no token in the handshake sends it in the first message. Answers have the envelope of
HTTP; what others say comes in between. It changes with what is said over a websocket.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from jac_converge.app_runtime.audience import Audience
from jac_converge.app_runtime.bodies import model_from, object_in
from jac_converge.app_runtime.bridge.introspect import WalkerSpec
from jac_converge.app_runtime.bridge.listening import LISTEN
from jac_converge.app_runtime.bridge.streaming import Stream
from jac_converge.app_runtime.calls import Order
from jac_converge.app_runtime.endpoint import Server
from jac_converge.app_runtime.identity import Caller
from jac_converge.app_runtime.outcomes import outcome_of, problem_of
from jac_converge.app_runtime.problems import (
    Problem,
    answer,
    answer_with,
    message_with,
    problem_from_http,
    refusal,
    unfit,
)
from jac_converge.app_runtime.receiving import Received
from jac_converge.app_runtime.refusals import noted
from jac_converge.app_runtime.signatures import Signature
from jac_converge.app_runtime.vigil import Listener

__all__ = ["Conversation", "Line"]

logger = logging.getLogger(__name__)

TOKEN = "token"  # noqa: S105 - the name of a key
TOKEN_WITHIN = 5.0  # s for the first message, where that has to say who is calling
CHECK_EVERY = 30.0  # s between two looks whether a caller may still read the node
FLUSH_WITHIN = 2.0  # s in which what was said must be gone when a connection ends
MOST_WAITING = 4 * 1024 * 1024  # characters that wait for a client that does not read
LONGEST_REASON = 100  # characters; the protocol has room for 123 bytes

POLICY, FAILED, RESTART, TOO_SLOW = 1008, 1011, 1012, 1013
STOPS = "the server stops; connect again"
REFUSALS = (Problem, HTTPException, RequestValidationError)


class _Close(Exception):
    """The end of a connection."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason[:LONGEST_REASON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What all connections to one walker share."""

    spec: WalkerSpec
    signature: Signature
    server: Server
    audience: Audience

    @property
    def takes_token(self) -> bool:
        """Whether a message may have a token; a field of the walker of that name comes first."""
        return all(field.name != TOKEN for field in self.spec.fields)


class Conversation:
    """One connection."""

    def __init__(
        self, socket: WebSocket, line: Line, *, token: str | None, node: str | None
    ) -> None:
        """Describe it.

        Args:
            socket: accepted when it runs.
            line: of its walker.
            token: of the handshake.
            node: where each call starts; None: at the root of the caller.
        """
        self._socket, self._line = socket, line
        self._token, self._node = token, node
        self.topic = "/".join([line.spec.name, *([node] if node else [])])
        """On which it hears others."""
        self._out: asyncio.Queue[str | None] = asyncio.Queue()
        self._waiting = 0  # characters in it
        self._moved = asyncio.Event()
        self._ended: asyncio.Future[_Close] = asyncio.get_running_loop().create_future()
        self._admitted = self._at_work = self._leaving = False
        self._watched = contextlib.ExitStack()

    def hear(self, text: str) -> None:
        """Take what somebody else said."""
        if self._waiting > MOST_WAITING:
            self._end(_Close(TOO_SLOW, "too much waits to be read"))
        else:
            self._say(text)

    def leave(self) -> None:
        """End when the call at work is done."""
        self._leaving = True
        if not self._at_work:
            self._end(_Close(RESTART, STOPS))

    async def run(self) -> None:
        """Talk until one of both ends it."""
        tasks = [asyncio.ensure_future(one) for one in (self._talk(), self._watch())]
        writing = asyncio.ensure_future(self._write())
        try:
            waited: set[asyncio.Future[Any]] = {*tasks, writing, self._ended}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            close = next((it for it in map(_close_of, tasks) if it is not None), None)
            if close is None and self._ended.done():
                close = self._ended.result()
            if close is not None:
                self._out.put_nowait(None)
                # A client that does not read may hold up both of them for ever.
                with contextlib.suppress(TimeoutError, WebSocketDisconnect):
                    await asyncio.wait_for(writing, FLUSH_WITHIN)
                with contextlib.suppress(TimeoutError, WebSocketDisconnect):
                    closing = self._socket.close(close.code, close.reason)
                    await asyncio.wait_for(closing, FLUSH_WITHIN)
        finally:
            for task in (*tasks, writing):
                task.cancel()
            await asyncio.gather(*tasks, writing, return_exceptions=True)
            self._watched.close()
            self._ended.cancel()

    async def _talk(self) -> None:
        """Answer messages until the client leaves.

        Raises:
            _Close: it has to.
        """
        if self._token is not None or self._line.spec.public:
            with self._refusing():
                await self._admit()
        while (message := await self._next()) is not None:
            self._at_work = True
            with self._refusing():
                await self._answer(message)
            self._at_work = False
            if self._leaving:
                raise _Close(RESTART, STOPS)

    async def _next(self) -> bytes | None:
        """Return the next message; None: the client has left."""
        try:
            async with asyncio.timeout(None if self._admitted else TOKEN_WITHIN):
                message = await self._socket.receive()
        except TimeoutError:
            raise _Close(POLICY, "no token was sent") from None
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        return (message.get("bytes") or b"") if text is None else text.encode(errors="replace")

    async def _answer(self, message: bytes) -> None:
        raw: bytes | None = message
        if self._line.takes_token and b'"token"' in message:
            raw = await self._without_token(message)
        if raw is None:
            self._say(_text(answer({"authenticated": True})))
            return
        line, caller = self._line, self._caller()
        await line.server.middleware.admit(self._socket, caller)
        body = model_from(line.signature.body, raw, lambda _: "body")
        received = Received(signature=line.signature, text=raw, body=body)
        order = Order(
            spec=line.spec,
            fields=received.values,
            root=lambda read: line.server.identity.root(caller, line.spec, read),
            node=self._node or received.node,
        )
        with noted(self._socket, caller):
            outcome = await outcome_of(order, line.server.calls)
        await self._room()
        if outcome.stream is not None:
            await self._send_all(outcome.stream)
            return
        self._say(_text(answer_with(outcome.text)))
        # What was said at a node that a message names is not for all who listen here.
        if line.spec.rest.broadcast and (self._node or not received.node):
            said = message_with("broadcast", outcome.text)
            await line.audience.tell(self.topic, said, but=self)

    async def _without_token(self, message: bytes) -> bytes | None:
        """Take the token of a message; returns the rest, None: there is none."""
        sent = object_in(message)
        token = sent.pop(TOKEN, None)
        if token is None:
            return message
        self._token = token if isinstance(token, str) else ""
        await self._admit()
        return to_json(sent) if sent else None

    def _caller(self) -> Caller | None:
        """Return who is calling, as far as the token says."""
        required = not self._line.spec.public
        return self._line.server.identity.caller(self._token, required=required)

    async def _admit(self) -> None:
        """Let the caller listen."""
        await self._line.server.middleware.admit(self._socket, self._caller())
        await self._check()
        if self._line.spec.rest.broadcast:
            await self._line.audience.join(self, self.topic)
        self._line.audience.know(self)
        if not self._admitted:
            listener = Listener(
                connection=self._socket,
                caller=self._caller,
                spec=self._line.spec,
                end=self._send_away,
            )
            self._watched.enter_context(self._line.server.vigil.over(listener))
        self._admitted = True

    async def _check(self) -> None:
        """See whether the caller is somebody, and may read the node.

        Raises:
            Problem: 401, 403 or 404; or it cannot be seen.
        """
        caller, identity = self._caller(), self._line.server.identity
        order = Order(
            spec=LISTEN,
            fields=lambda: {"node": self._node},
            root=lambda read: identity.root(caller, self._line.spec, read),
        )
        with noted(self._socket, caller):
            await outcome_of(order, self._line.server.calls)

    async def _watch(self) -> None:
        """Look now and then whether the caller may still read the node.

        Raises:
            _Close: not any more.
        """
        while True:
            await asyncio.sleep(CHECK_EVERY)
            if not self._admitted or self._node is None:
                continue
            try:
                await self._check()
            except Problem as error:
                if error.status in (401, 403, 404):
                    raise _Close(POLICY, error.message) from error

    async def _send_all(self, stream: Stream) -> None:
        """Send what a generator yields, each as a message."""
        name = self._line.spec.name
        self._at_work = False  # it may take for ever, and ends where it waits
        if self._leaving:
            raise _Close(RESTART, STOPS)
        items = self._line.server.calls.feeds.items(stream)
        try:
            async for item in items:
                self._say(message_with("item", item))
                await self._room()
            self._say(message_with("end", b"null"))
        except (_Close, asyncio.CancelledError):
            raise
        except BaseException as error:
            raise problem_of(name, error) from error
        finally:
            await items.aclose()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Tell the client what goes wrong; who is nobody has to leave."""
        try:
            yield
        except REFUSALS as error:
            problem = _problem(error)
            self._say(_text(refusal(problem)))
            unauthorized = 401
            if problem.status == unauthorized or not self._admitted:
                raise _Close(POLICY, problem.message) from error

    def _send_away(self, problem: Problem) -> None:
        """Tell why the caller may not listen any more."""
        self._say(_text(refusal(problem)))
        self._end(_Close(POLICY, problem.message))

    def _end(self, close: _Close) -> None:
        if not self._ended.done():
            self._ended.set_result(close)

    def _say(self, text: str) -> None:
        self._waiting += len(text)
        self._out.put_nowait(text)

    async def _room(self) -> None:
        """Wait for a client that reads more slowly than we answer."""
        while self._waiting > MOST_WAITING // 2:
            self._moved.clear()
            await self._moved.wait()

    async def _write(self) -> None:
        while (text := await self._out.get()) is not None:
            await self._socket.send_text(text)
            self._waiting -= len(text)
            self._moved.set()


def _close_of(future: asyncio.Future[None]) -> _Close | None:
    """Return how a task wants to end the connection; None: it does not, or nobody is there."""
    if not future.done() or future.cancelled():
        return None
    error = future.exception()
    if error is None or isinstance(error, _Close):
        return error
    if isinstance(error, WebSocketDisconnect):
        return None
    logger.error("a websocket failed", exc_info=error)
    return _Close(FAILED, "the server failed; its log says why")


def _problem(error: BaseException) -> Problem:
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return unfit(error, body="message")
        case HTTPException():
            return problem_from_http(error)
    raise error


def _text(response: Response) -> str:
    return bytes(response.body).decode()
