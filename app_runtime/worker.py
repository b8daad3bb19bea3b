"""One process that serves: loads the app, opens the store, answers until told to stop.

A SIGTERM or Ctrl-C drains: no new connections, those in flight get their time. A second Ctrl-C
ends it at once. It changes with the life of one process.
"""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from jac_converge.app_runtime.app import create_app
from jac_converge.app_runtime.auth.keys import BadKey
from jac_converge.app_runtime.banner import announce
from jac_converge.app_runtime.bridge.program import AppBroken, Program
from jac_converge.app_runtime.bridge.restspecs import BadDeclaration
from jac_converge.app_runtime.bridge.warming import warm_up
from jac_converge.app_runtime.front import Front
from jac_converge.app_runtime.head_as_get import HeadAsGet
from jac_converge.app_runtime.kept import KeptConnections
from jac_converge.app_runtime.probes import Health
from jac_converge.app_runtime.proxies import TrustedProxies
from jac_converge.app_runtime.stores import StoreError
from jac_converge.app_runtime.straight import Shortcut
from jac_converge.app_runtime.supervisor import BROKEN, READY
from jac_converge.app_runtime.tiers import open_memory
from jac_converge.config.load import App, load_app
from jac_converge.config.logs import configure_logging, wants_json
from jac_converge.config.problems import ConfigError

__all__ = ["main", "work"]

logger = logging.getLogger(__name__)

SECURITY = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
]
"""Headers of every answer, written by the server itself, so that none goes without."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def work(
    app: App,
    listener: socket.socket,
    *,
    serving: Callable[[], None] | None = None,
    failing: Callable[[str], None] | None = None,
) -> int:
    """Serve one app on a listening socket until told to stop; returns the exit code.

    Args:
        app: names and settings.
        listener: bound and listening.
        serving: called once requests are answered; without it, a line says so.
        failing: called with the reason where they never will be. With it, nobody waits for the
            answers of before when the end has come: they are of code that is no more.
    """
    gc.disable()  # what is made until we serve stays: to look through it takes a fifth of the time
    try:
        program = Program(app.file, profile=app.profile)
        api = create_app(app, program, open_memory(app), reload=failing is not None)
        # The collector need not look through it with every request, either.
        gc.collect()
        gc.freeze()
        gc.enable()
    except (AppBroken, BadDeclaration, BadKey, StoreError, OSError) as error:
        gc.enable()
        code = _complain(error, 1)
        if failing is not None:
            failing(str(error))
        return code
    announcing = serving or (lambda: announce(app, listener))
    server = _server(app, api, serving=announcing, at_once=failing is not None)
    server.run(sockets=[listener])
    if api.state.calls.running:
        # Threads of walkers that outlived the drain would keep the process for as long as they
        # like. Nobody waits for them, and what they did not commit is nobody's.
        logging.shutdown()
        os._exit(0)
    return 0


def _server(app: App, api: FastAPI, *, serving: Callable[[], None], at_once: bool) -> "_Server":
    """Put uvicorn in front of the application."""
    settings = app.settings.server
    log = sys.stderr.isatty() if settings.access_log is None else settings.access_log
    KeptConnections.head_within = settings.request_timeout
    return _Server(
        uvicorn.Config(
            TrustedProxies(Front(HeadAsGet(Shortcut(api)), log=log), settings.trusted_proxies),
            log_config=None,
            access_log=False,
            lifespan="on",
            http=KeptConnections,
            # Without compression: for each connection, it takes more memory than all else.
            ws="websockets-sansio" if api.state.audience is not None else "none",
            ws_max_size=settings.websocket_max_bytes,
            ws_per_message_deflate=False,
            server_header=False,
            proxy_headers=False,
            headers=SECURITY,
            timeout_graceful_shutdown=settings.drain_seconds,
        ),
        health=api.state.health,
        endings=[
            part.finish for part in (api.state.audience, api.state.timetable) if part is not None
        ],
        serving=serving,
        at_once=at_once,
    )


def main(orders: str) -> int:
    """Serve as one of several workers.

    Args:
        orders: JSON: what to load, and the descriptors of the socket and of two pipes.
    """
    given = json.loads(orders)
    configure_logging(json_lines=wants_json(os.environ))
    if given["waits"]:
        warm_up()
        FastAPI().add_api_route("/", lambda: None)  # imports what the first route of all needs
        if not os.read(given["life"], 1):
            return 0  # nobody will ever need it
    threading.Thread(
        target=_end_with_parent, args=(given["life"],), name="parent", daemon=True
    ).start()
    failing = partial(_tell_why, given) if given["reload"] else None
    # Python would take a module that was saved twice within a second for what it was before.
    sys.dont_write_bytecode = given["reload"]
    try:
        app = load_app(
            Path(given["file"]),
            environ=os.environ,
            profile=given["profile"],
            flags=given["flags"],
            purpose="serve",
        )
    except ConfigError as error:
        _complain(error, 2)
        if failing is not None:
            failing(str(error))
        return 2
    with socket.socket(fileno=given["listener"]) as listener:
        serving = partial(_say, given["status"], READY)
        return work(app, listener, serving=serving, failing=failing)


def _say(status: int, word: bytes) -> None:
    os.write(status, word)
    os.close(status)


def _tell_why(given: Mapping[str, Any], reason: str) -> None:
    """Answer every request with the reason why nothing else does, until a save mends it."""
    from jac_converge.app_runtime.trouble import Trouble  # noqa: PLC0415 - few need it

    trouble = Trouble(Path(given["file"]).name, reason)
    config = uvicorn.Config(
        Front(trouble, log=False),
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        headers=SECURITY,
        timeout_graceful_shutdown=1,
    )
    _say(given["status"], BROKEN)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=os.dup(given["listener"]))])


def _end_with_parent(life: int) -> None:
    """Drain when the supervisor is gone, however it went: nobody would stop us later."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _complain(error: Exception, code: int) -> int:
    for line in str(error).splitlines():
        sys.stderr.write(f"jac serve: {line}\n")
    return code


class _Server(uvicorn.Server):
    """uvicorn, but it says when it serves, and readiness fails from a signal on."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        health: Health,
        endings: Sequence[Callable[[float], Awaitable[None]]],
        serving: Callable[[], None],
        at_once: bool,
    ) -> None:
        super().__init__(config)
        self._health = health
        self._endings = endings
        self._serving = serving
        self._by_hand = at_once

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._serving()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let websockets and jobs end what they are at; uvicorn knows of neither."""
        if self._endings and not self.force_exit:
            for listening in self.servers:
                listening.close()
            began, patience = time.monotonic(), self.config.timeout_graceful_shutdown or 0
            await asyncio.gather(*(end(patience) for end in self._endings))
            left = patience - (time.monotonic() - began)
            self.config.timeout_graceful_shutdown = max(1, round(left))
        if self._by_hand:
            # Somebody waits at a terminal, and a browser keeps its connections open.
            for connection in list(self.server_state.connections):
                if isinstance(connection, KeptConnections):
                    connection.hang_up()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear signals while serving; uvicorn would raise them once more after a clean end."""
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGINT and self.should_exit:
            # uvicorn would still wait for open connections to close.
            logging.shutdown()
            os._exit(0)
        self._health.draining = True
        if sig == signal.SIGINT:
            self._by_hand = True
            sys.stderr.write("\n")  # after the ^C of the terminal
            logger.info("draining; press Ctrl-C again to stop at once")
        super().handle_exit(sig, frame)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
