"""A client that hangs up while it sends is nobody's mistake."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response

from jac_converge.app_runtime import problems
from jac_converge.app_runtime.straight import straight


def test_client_that_hangs_up_while_sending_leaves_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither a traceback nor a line that asks for a human."""

    async def answer(request: Request) -> Response:
        await request.body()
        raise AssertionError("the body never came")

    app = FastAPI()
    problems.install(app)
    route = straight(answer)
    app.router.add_api_route("/put", lambda: None, methods=["POST"], route_class_override=route)
    coming = iter(
        [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> Any:
        return next(coming)

    async def send(_: Any) -> None:
        """Nobody is there."""

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/put",
        "raw_path": b"/put",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"100")],
    }
    asyncio.run(app(scope, receive, send))
    assert [] == [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
