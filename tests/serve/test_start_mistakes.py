"""Apps that ask for what cannot be served, on a server that says so and does not start."""

from pathlib import Path

import pytest

from tests.servers.jac_server import JacServer
from tests.servers.process import ServerFailed


@pytest.mark.parametrize(
    ("source", "told"),
    [
        pytest.param(
            '@restspec(path="/a/{x}")\nwalker:pub one { has y: int = 0; }\n',
            "path /a/{x} of one names what is no field of it: x",
            id="no-field",
        ),
        pytest.param(
            '@restspec(path="/a")\nwalker:pub one {}\n@restspec(path="/a")\nwalker:pub two {}\n',
            "POST /a is wanted by one and by two",
            id="same-path",
        ),
        pytest.param(
            '@restspec(method="GET", path="/a/{x}")\nwalker:pub one { has x: str; }\n'
            '@restspec(method="GET", path="/a/{y}")\nwalker:pub two { has y: str; }\n',
            "GET /a/{y} is wanted by one and by two",
            id="same-path-but-for-names",
        ),
        pytest.param(
            "walker:pub base { has reports: list = []; }\nwalker:pub one(base) {}\n",
            "walker base cannot have a field called reports",
            id="reports",
        ),
        pytest.param(
            "walker:pub one { has a: int = 0; }\nwalker one { has b: int = 0; }\n",
            "one is defined on line 1 of bad.jac and again on line 2",
            id="two-walkers-of-one-name",
        ),
        pytest.param(
            "walker one {}\ndef:pub two -> int { return 2; }\ndef:pub one -> int { return 1; }\n",
            "one is defined on line 1 of bad.jac and again on line 3",
            id="walker-and-function-of-one-name",
        ),
        pytest.param(
            '@restspec(path="a")\nwalker:pub one {}\n', "has to begin with /", id="no-slash"
        ),
        pytest.param(
            '@restspec(method="FETCH")\nwalker:pub one {}\n', "method FETCH is none of", id="method"
        ),
        pytest.param(
            "import from fastapi { UploadFile }\n"
            '@restspec(method="GET")\nwalker:pub one { has f: UploadFile; }\n',
            "can take no file: f",
            id="file",
        ),
        pytest.param(
            '@restspec(path="/user/login")\nwalker:pub one {}\n',
            "POST /user/login of one is a path of the server's own",
            id="ours",
        ),
        pytest.param(
            '@restspec(protocol="websocket", path="/ws/two")\nwalker:pub one {}\n'
            '@restspec(protocol="websocket")\nwalker:pub two {}\n',
            "WS /ws/two is wanted by one and by two",
            id="websockets",
        ),
        pytest.param(
            '@restspec(path="/webhook/{name}")\nwalker:pub one { has name: str; }\n'
            '@restspec(protocol="webhook")\nwalker two {}\n',
            "POST /webhook/two is wanted by one and by two",
            id="webhook",
        ),
    ],
)
def test_what_cannot_be_served_is_told_at_the_start(tmp_path: Path, source: str, told: str) -> None:
    """By the name of the walker."""
    app = tmp_path / "bad.jac"
    app.write_text(source)
    app.with_name("jac.toml").write_text(
        '[converge.webhooks.two]\nsecret = "a secret of this test"\n'
    )
    server = JacServer(app, tmp_path / "served")
    with pytest.raises(ServerFailed), server:
        pass
    assert told in server.log_text()


IN_THE_CODE = """
import from collections.abc { Callable }
walker:pub one { has reports: list = []; }
@restspec(path="a") walker:pub two {}
@schedule(interval=2, cron="* * * * *") walker three {}
@schedule(interval=2) walker four { has x: int; }
walker _authenticate { has z: int; }
node Place { has act: Callable; }
node Place { has act: Callable; }
"""
OF_THE_SERVER = """
import from jac_converge.roles { roles }
@restspec(path="/a/{x}") walker:pub one {}
@restspec(path="/user/login") walker:pub two {}
@restspec(protocol="websocket", path="/b/{x}") walker:pub three { has x: str; }
@roles("editor") @restspec(protocol="webhook") walker four {}
@schedule(interval=-1) walker five {}
@schedule(cron="x") walker six {}
"""


@pytest.mark.parametrize(
    ("source", "told"),
    [
        pytest.param(
            IN_THE_CODE,
            ["walker one cannot", "@restspec of two", "@schedule of three", "job four: nobody",
             "walker _authenticate cannot", "field act of Place", "Place is defined on line"],
            id="in-the-code",
        ),
        pytest.param(
            OF_THE_SERVER,
            ["/a/{x} of one names", "/user/login of two", "/b/{x} of three",
             "four is a webhook: nobody", "@schedule of five", "@schedule of six",
             "[converge.server.roles] nobody"],
            id="of-the-server",
        ),
    ],
)  # fmt: skip
def test_everything_that_cannot_be_served_is_told_at_once(
    tmp_path: Path, source: str, told: list[str]
) -> None:
    """A line for each, also the second time, when the bytecode is there already."""
    app = tmp_path / "bad.jac"
    app.write_text(source)
    app.with_name("jac.toml").write_text('[converge.server.roles]\nnobody = ["editor"]\n')
    for start, flags in enumerate([[], ["--check"]], 1):
        server = JacServer(app, tmp_path / "served", *flags)
        with pytest.raises(ServerFailed), server:
            pass
        lines = [line for line in server.log_text().splitlines() if line.startswith("jac serve: ")]
        for text in told:
            assert start == sum(text in line for line in lines), (text, lines)
