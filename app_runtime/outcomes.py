"""Run a call, and tell what it raises as a problem that has a code.

It changes when a call may fail in a new way.
"""

import logging

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from jac_converge.app_runtime.bridge.paging import BadPage
from jac_converge.app_runtime.bridge.program import (
    CannotSend,
    Exited,
    NodeNotFound,
    Outcome,
    TooLate,
    WrongNode,
)
from jac_converge.app_runtime.bridge.values import CannotStore
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.files import BadKey, BadMetadata, FilesDown, NoSuchFile
from jac_converge.app_runtime.problems import (
    Problem,
    damaged,
    no_files,
    no_store,
    problem_from_http,
    too_large,
)
from jac_converge.app_runtime.stores import Conflict, TooLarge, Unavailable, Unreadable

__all__ = ["outcome_of", "problem_of"]

logger = logging.getLogger(__name__)


async def outcome_of(order: Order, calls: Calls) -> Outcome:
    """Run a call.

    Raises:
        Problem: it failed.
        HTTPException: so the app says.
        RequestValidationError: a field names a node of another class.
    """
    try:
        return await calls.execute(order)
    except (HTTPException, RequestValidationError):
        raise
    except WrongNode as error:
        wrong = {"loc": ("body", *error.place), "msg": str(error), "type": "node_class"}
        raise RequestValidationError([wrong]) from error
    except (Exception, TooLate) as error:
        raise problem_of(order.spec.name, error) from error


def problem_of(name: str, error: BaseException) -> Problem:
    """Return what to tell the caller about an error, and log what is for the operator alone.

    Args:
        name: of the walker or function.
        error: that the call raised.
    """
    match error:
        case Problem():
            return error
        case HTTPException():
            return problem_from_http(error)
        case NodeNotFound():
            return Problem(404, str(error))
        case Conflict():
            return Problem(409, f"{name}: others changed the same nodes; try again")
        case TooLarge():
            return too_large(name, error)
        case Unavailable():
            return no_store(name, error)
        case Unreadable():
            return damaged(name, error)
        case NoSuchFile():
            return Problem(404, f"{name}: {error}")
        case BadKey():
            return Problem(422, f"{name}: {error}", code="BAD_FILE_NAME")
        case BadMetadata():
            return Problem(422, f"{name}: {error}", code="BAD_METADATA")
        case BadPage():
            return Problem(422, f"{name}: {error}", code="BAD_PAGE")
        case FilesDown():
            return no_files(name, error)
        case PermissionError():
            return Problem(403, f"{name} is not allowed to do that")
        case CannotSend() | CannotStore():
            return Problem(500, f"{name}: {error}", code="UNSUPPORTED_VALUE")
        case TooLate():
            return Problem(
                504,
                f"{name} took too long, {error}; nothing was stored, nor will be; do less in one "
                "call, or raise [converge.server] request_timeout",
            )
    # The app's own error: its text may hold anything, so it goes to the log alone.
    logger.error("%s raised", name, exc_info=error)
    raised = str(error) if isinstance(error, Exited) else f"raised {type(error).__name__}"
    text = f"{name} {raised}; the server's log says more"
    return Problem(500, text, code="EXECUTION_ERROR")
