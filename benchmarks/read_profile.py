"""Where our server spends its time in a read of ten nodes: `make bench-memory FLAGS=--profile`.

One process under cProfile does it all, walkers included, on the thread of its event loop; the
client is a process of its own. The profiler slows down what calls much: look at shares, not at
times, and of `poll`, which is waiting, not even at that.
"""

import asyncio
import cProfile
import multiprocessing
import os
import pstats
import socket
from collections.abc import Callable
from itertools import repeat
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.clients import APP, ITEMS, Clients
from benchmarks.load import drive, request
from jac_converge.app_runtime.app import create_app
from jac_converge.app_runtime.bridge.program import Program
from jac_converge.app_runtime.cli import listen
from jac_converge.app_runtime.tiers import open_memory
from jac_converge.config.load import load_app
from jac_converge.config.logs import configure_logging
from tests.servers.jac_server import JacServer

__all__ = ["print_profile"]

SHOWN = 25
WARM_UP = 1.0  # s


def print_profile(folder: Path, seconds: float) -> None:
    """Serve reads for a while and print which functions took the time themselves.

    Args:
        folder: for the app and its data.
        seconds: how long.
    """
    server = JacServer(APP, folder)  # for its files and its client; it is not started
    configure_logging(json_lines=False)
    flags = {"server.port": server.port}
    app = load_app(server.file, environ=os.environ, profile=None, flags=flags, purpose="serve")
    api = create_app(app, Program(app.file), open_memory(app))

    async def here[T](function: Callable[..., T], *args: Any) -> T:
        return function(*args)

    api.state.calls.in_thread = here  # the profiler follows one thread
    with listen(app) as listener:
        profile = asyncio.run(_profiled(api, listener, Clients(server), seconds))
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(SHOWN)


async def _profiled(
    api: Any, listener: socket.socket, clients: Clients, seconds: float
) -> cProfile.Profile:
    config = uvicorn.Config(api, log_config=None, access_log=False, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    (token,) = await asyncio.to_thread(lambda: clients.users(1, items=ITEMS))
    await _send(clients.server.port, token, WARM_UP)
    profile = cProfile.Profile()
    profile.enable()
    await _send(clients.server.port, token, seconds)
    profile.disable()
    server.should_exit = True
    await serving
    return profile


async def _send(port: int, token: str, seconds: float) -> None:
    """Read for a while, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    client = context.Process(target=_client, args=(port, token, seconds))
    client.start()
    await asyncio.to_thread(client.join)
    assert client.exitcode == 0


def _client(port: int, token: str, seconds: float) -> None:
    load = drive(port, [repeat(request("/walker/read", token))], seconds)
    print(f"{load.requests} reads of {ITEMS} nodes, {load.rate:.0f}/s", flush=True)
