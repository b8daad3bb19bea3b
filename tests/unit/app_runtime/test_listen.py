"""The listening socket of `jac serve`."""

import asyncio
import socket
from pathlib import Path

from jac_converge.app_runtime.cli import listen
from jac_converge.config.load import load_app
from tests.servers.process import free_port


def test_listen_gives_connections_that_do_not_wait_for_more_to_send(tmp_path: Path) -> None:
    """Nagle's delay is off: asyncio does that only for sockets that say they are TCP."""
    file = tmp_path / "main.jac"
    file.write_text("walker hi {}\n")
    app = load_app(file, environ={}, flags={"server.port": free_port()}, purpose="serve")
    with listen(app) as listener:
        assert 1 == asyncio.run(_no_delay_of_accepted(listener))


async def _no_delay_of_accepted(listener: socket.socket) -> int:
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = writer.get_extra_info("socket")
        accepted.set_result(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(note, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        async with asyncio.timeout(10):
            answer = await accepted
        writer.close()
        await writer.wait_closed()
    return answer
