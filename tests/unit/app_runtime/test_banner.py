"""What is told at the start: everything that helps, and no secret."""

import socket
from pathlib import Path

import pytest

from jac_converge.app_runtime.banner import announce
from jac_converge.config.load import load_app


@pytest.mark.parametrize(
    ("environ", "store"),
    [
        ({}, "the shelf "),
        (
            {
                "MONGODB_URI": "mongodb://ann:pass%40word@one:27017,two/shop?authSource=admin",
                "REDIS_URL": "redis://:pass/word@cache:6379/0",
            },
            "mongodb://one:27017,two/shop, cached in redis://cache:6379/0",
        ),
    ],
)
def test_line_names_the_store_without_its_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, environ: dict[str, str], store: str
) -> None:
    """A log is read by more people than a configuration."""
    file = tmp_path / "shop.jac"
    file.write_text("")
    app = load_app(file, environ=environ, purpose="serve", flags={"server.workers": 2})
    with socket.create_server(("127.0.0.1", 0)) as listener, caplog.at_level("INFO"):
        announce(app, listener, reload=True)
        port = listener.getsockname()[1]
    (line,) = caplog.messages
    assert line.startswith(
        f"serving shop.jac on http://127.0.0.1:{port} with 2 workers, /docs and /graph; data in "
    )
    assert store in line
    assert "pass" not in line
