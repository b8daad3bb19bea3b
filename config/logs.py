"""One logging set-up for both commands: lines for people, or JSON for machines.

Called by the two `cli.py` and by nobody else: a library that is imported logs nothing by itself.
Third parties speak from WARNING on, we from INFO on. It changes when a line gains a field.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

__all__ = ["configure_logging", "current_request", "wants_json"]

current_request: ContextVar[str | None] = ContextVar("current_request", default=None)
"""Id of the request that this task or thread works for; every line of it shows that."""

_FIELDS = ("subject", "action", "version")
"""What `extra=` may carry. Nothing else is shown, so that nothing secret is by accident."""

_PASSWORD = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://[^\s/:@]*):\S+@", re.IGNORECASE)
"""To the last @: a password that was not encoded may hold a / or an @."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What moves a cursor, ends a line, or turns the way in which a terminal shows it."""

_OTHERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure_logging(*, json_lines: bool = False, stream: TextIO | None = None) -> None:
    """Send the process's whole logging to one stream, whatever was set up before.

    jaclang gives the root logger a handler and level INFO when it is imported. Called before that
    import, this makes it a no-op; called after, this replaces it. Start uvicorn with
    `log_config=None`, so that it keeps its hands off.

    Args:
        json_lines: one JSON object per line.
        stream: stderr when not given.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonLines() if json_lines else _HumanLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("jac_converge").setLevel(logging.INFO)
    for name in _OTHERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    logging.captureWarnings(capture=True)


def wants_json(environ: Mapping[str, str], *, flag: bool = False) -> bool:
    """Tell whether logs are to be JSON: `--json`, or JAC_CONVERGE_LOG=json."""
    return flag or environ.get("JAC_CONVERGE_LOG", "").lower() == "json"


class _Lines(logging.Formatter):
    """What both forms share: the text of a record, without passwords and control characters."""

    def text(self, record: logging.LogRecord) -> str:
        return _shown(record.getMessage())

    def traceback(self, record: logging.LogRecord) -> str:
        if not record.exc_info or record.exc_info[0] is None:
            return ""
        return _shown(self.formatException(record.exc_info))

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        given = [(name, getattr(record, name, None)) for name in _FIELDS]
        given.append(("request", current_request.get()))
        return {name: _shown(str(value)) for name, value in given if value is not None}


class _HumanLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        clock = datetime.fromtimestamp(record.created, tz=UTC).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        fields = "".join(f" {name}={value}" for name, value in self.fields(record).items())
        traceback = self.traceback(record)
        whole = f"{clock} {level}{self.text(record)}{fields}" + (traceback and f"\n{traceback}")
        # Whatever a line holds of what somebody sent, only a record of ours begins at the margin.
        return whole.replace("\n", "\n  ")


class _JsonLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.text(record),
            **self.fields(record),
        }
        if traceback := self.traceback(record):
            line["traceback"] = traceback
        return json.dumps(line, ensure_ascii=False)


def _shown(text: str) -> str:
    masked = _PASSWORD.sub(r"\g<scheme>:***@", text)
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], masked)
