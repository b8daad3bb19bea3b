"""What is done to processes while clients ask. It changes with the ways in which they can die."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.servers.jac_server import JacServer
from tests.servers.process import wait_until

__all__ = ["kill_server", "kill_worker", "start", "workers_of"]

ENOUGH = 60.0  # s for a worker to be replaced on a busy machine


def workers_of(server: JacServer) -> set[int]:
    """Return the processes that a server with several workers has started."""
    return set(_children(server.pid))


def start(server: JacServer) -> None:
    """Start a server, and wait until all of its workers serve.

    `JacServer.start` is content with the first of them.
    """
    before = len(server.log_text()) if server.log.exists() else 0
    server.start()
    wait_until(
        lambda: " serving " in server.log_text()[before:],
        within=ENOUGH,
        what="all workers",
        unless=server.check_alive,
    )


def kill_worker(server: JacServer) -> None:
    """Kill the oldest worker in the middle of its work, and wait for the one that follows it."""
    before = workers_of(server)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)  # not reaped before the supervisor hears of it
    wait_until(
        lambda: len(workers_of(server) - {victim}) == len(before),
        within=ENOUGH,
        what="a new worker",
        unless=server.check_alive,
    )


def kill_server(server: JacServer) -> None:
    """Kill a server with all its workers, which would otherwise drain."""
    handles = [os.pidfd_open(worker) for worker in workers_of(server)]
    try:
        server.kill9()
        for handle in handles:
            with suppress(ProcessLookupError):  # it learned of the end of its parent
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        for handle in handles:  # whoever lives holds the port
            ended, _, _ = select.select([handle], [], [], ENOUGH)
            assert ended, "a killed worker lives on"
    finally:
        for handle in handles:
            os.close(handle)


def _children(parent: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
                # Behind the name, which is in brackets and may hold anything: state, parent.
                if int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    yield int(folder.name)
