"""Logging: one set-up that wins over whatever was there, and shows no password."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator

import pytest

from jac_converge.config.logs import configure_logging, wants_json

OURS = logging.getLogger("jac_converge.somewhere")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root, ours = logging.getLogger(), logging.getLogger("jac_converge")
    before = root.handlers[:], root.level, ours.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], level, ours_level = before
    root.setLevel(level)
    ours.setLevel(ours_level)


def configured(*, json_lines: bool = False) -> io.StringIO:
    """Configure logging into a buffer."""
    stream = io.StringIO()
    configure_logging(json_lines=json_lines, stream=stream)
    return stream


def test_logs_write_a_line_for_people() -> None:
    """Clock, level when it matters, text, and the fields that were given."""
    stream = configured()
    OURS.info("healed", extra={"subject": "Deployment/shop", "action": "update", "version": "7"})
    OURS.warning("redis is %s", "away")
    healed, away = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d healed subject=Deployment/shop action=update version=7", healed
    )
    assert re.fullmatch(r"\d\d:\d\d:\d\d warning: redis is away", away)


def test_logs_write_json() -> None:
    """One object per line, the fields beside the message, nothing that was not asked for."""
    stream = configured(json_lines=True)
    OURS.info("healed", extra={"subject": "Deployment/shop", "other": "x"})
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert {
        "level": "info",
        "logger": "jac_converge.somewhere",
        "message": "healed",
        "subject": "Deployment/shop",
    } == line


@pytest.mark.parametrize("json_lines", [True, False], ids=["json", "human"])
def test_logs_show_no_password(*, json_lines: bool) -> None:
    """Neither in a message, nor in a field, nor in a traceback."""
    stream = configured(json_lines=json_lines)
    url = "mongodb+srv://admin:hunter2@db.example/shop"
    try:
        int(url)
    except ValueError:
        OURS.exception("cannot reach %s", url, extra={"subject": url})
    text = stream.getvalue()
    assert "hunter2" not in text
    assert text.count("mongodb+srv://admin:***@db.example/shop") == 3


@pytest.mark.parametrize("password", ["p@ss", "pa/ss", "p:a@s/s"])
def test_logs_show_no_part_of_an_unencoded_password(password: str) -> None:
    """What is no proper URL is a secret all the same."""
    stream = configured()
    OURS.warning("cannot reach redis://:%s@cache.example/0 now", password)
    assert stream.getvalue().endswith("cannot reach redis://:***@cache.example/0 now\n")


@pytest.mark.parametrize("json_lines", [True, False], ids=["json", "human"])
def test_logs_take_no_line_of_somebody_else(*, json_lines: bool) -> None:
    """What was sent may hold the end of a line, or what moves a terminal."""
    stream = configured(json_lines=json_lines)
    sent = "/x\n12:00:00 auth login account=1\r\x1b[2Jgone\x85\u2028\u202ereversed\x00"
    OURS.warning("%s failed", sent, extra={"subject": sent})
    OURS.error("it failed", exc_info=ValueError(sent))
    text = stream.getvalue()
    assert not {"\r", "\x1b", "\x85", "\u2028", "\u202e", "\x00"} & set(text)
    assert "\\x1b[2J" in (json.loads(text.split("\n")[0])["message"] if json_lines else text)
    ours = [line for line in text.splitlines() if not line.startswith(" ")]
    assert 2 == len(ours)
    assert [] == [line for line in ours if line.startswith("12:00:00 auth")]


def test_logs_replace_what_jaclang_set_up() -> None:
    """A root logger at INFO with a handler of its own loses both."""
    before = io.StringIO()
    logging.basicConfig(stream=before, level=logging.INFO, force=True)
    stream = configured()
    logging.getLogger("httpx").info("request")
    OURS.info("ours")
    assert "" == before.getvalue()
    assert stream.getvalue().endswith("ours\n")
    assert "request" not in stream.getvalue()


def test_logs_stay_when_jaclang_comes_later() -> None:
    """Its basicConfig finds a handler, and does nothing."""
    stream = configured()
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("httpx").info("request")
    assert "" == stream.getvalue()
    assert 1 == len(logging.getLogger().handlers)


def test_logs_take_over_uvicorn() -> None:
    """Its errors come in our form; its access log, one line per request, does not come."""
    stray = logging.StreamHandler(io.StringIO())
    logging.getLogger("uvicorn.access").addHandler(stray)
    logging.getLogger("uvicorn.access").propagate = False
    stream = configured(json_lines=True)
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("uvicorn.error").error("no")
    assert {"uvicorn.error"} == {json.loads(x)["logger"] for x in stream.getvalue().splitlines()}
    assert [] == logging.getLogger("uvicorn.access").handlers


def test_logs_leave_out_the_details() -> None:
    """A watch that was restarted is nobody's news."""
    stream = configured()
    OURS.debug("restarted")
    assert "" == stream.getvalue()


def test_logs_take_python_warnings() -> None:
    """A deprecation in a library is a log line, not text in the middle of one."""
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "UserWarning: old" in stream.getvalue()


@pytest.mark.parametrize(
    ("environ", "flag", "wanted"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"JAC_CONVERGE_LOG": "JSON"}, False, True),
        ({"JAC_CONVERGE_LOG": "text"}, False, False),
    ],
)
def test_logs_are_json_when_wanted(environ: dict[str, str], *, flag: bool, wanted: bool) -> None:
    """By the flag or by the environment."""
    assert wanted is wants_json(environ, flag=flag)
