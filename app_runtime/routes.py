"""Walkers and functions as routes: typed in, enveloped out.

Only the app's own are here, each under its name, so that OpenAPI tells them apart. It changes with
the routes of jaclang's client runtime.
"""

import logging
from typing import Any

from fastapi import Body, FastAPI, Request, Security
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.program import (
    GUEST_ROOT,
    NodeNotFound,
    Outcome,
    Program,
    TooLate,
)
from jac_converge.app_runtime.bridge.values import CannotStore
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.problems import Problem, answer, no_store
from jac_converge.app_runtime.signatures import (
    SPAWN_NODE,
    Failure,
    describe,
    signature_of,
)
from jac_converge.app_runtime.stores import Conflict, Unavailable
from jac_converge.app_runtime.straight import straight

__all__ = ["install"]

logger = logging.getLogger(__name__)

PUBLIC = (404, 409, 413, 422, 500, 503, 504)
PRIVATE = (401, *PUBLIC)


def install(app: FastAPI, program: Program, calls: Calls, identity: Identity) -> None:
    """Add the routes of every walker and function, and those that describe them."""
    for walker in program.walkers.values():
        _add(app, walker, calls, identity)
    for function in program.functions.values():
        _add(app, function, calls, identity)
    _add_descriptions(app, program)


def _add(app: FastAPI, spec: WalkerSpec | FunctionSpec, calls: Calls, identity: Identity) -> None:
    signature = signature_of(spec)
    who = Security(identity.optional if spec.public else identity.required)
    model = signature.body
    required = any(field.required for field in spec.fields)
    body_of = Body(...) if required else Body(default=None)

    async def run(claims: Claims | None, raw: bytes, body: Any, node: str | None) -> Response:
        unused = [body] if isinstance(body, BaseModel) else []

        def fields() -> dict[str, Any]:
            # What a run did to its values stays with that run.
            return signature.values(unused.pop()) if unused else signature.fields(raw)

        order = Order(
            spec=spec,
            fields=fields,
            root=lambda read: identity.root(claims, GUEST_ROOT, read),
            node=node or getattr(body, "spawn_node", None) or None,
        )
        return _answer(await _execute(order, calls))

    async def good(request: Request, token: str | None, raw: bytes, body: BaseModel) -> Response:
        claims = identity.speaking(token, required=not spec.public)
        return await run(claims, raw, body, request.path_params.get("node"))

    async def call(
        request: Request,
        claims: Claims | None = who,
        body: Any = body_of,
    ) -> Response:
        return await run(claims, await request.body(), body, None)

    async def call_at(
        request: Request,
        node: str,
        claims: Claims | None = who,
        body: Any = body_of,
    ) -> Response:
        return await run(claims, await request.body(), body, node)

    # FastAPI reads the model of a body from its annotation.
    for endpoint in (call, call_at):
        endpoint.__annotations__["body"] = model if required else model | None
    kind = "walker" if isinstance(spec, WalkerSpec) else "function"
    options: dict[str, Any] = {
        "methods": ["POST"],
        "tags": [kind],
        "description": spec.doc or None,
        "response_model": signature.response,
        "responses": {code: {"model": Failure} for code in (PUBLIC if spec.public else PRIVATE)},
        "route_class_override": straight(model, good),
    }
    path = f"/{kind}/{spec.name}"
    summary = spec.doc.partition("\n")[0].rstrip(".") or spec.name
    if spec.public:
        summary += " (public)"
    add = app.router.add_api_route
    add(path, call, summary=summary, operation_id=f"{kind}_{spec.name}", **options)
    if kind == "walker":
        add(
            f"{path}/{{node}}",
            call_at,
            summary=f"{summary}, at a node",
            operation_id=f"{kind}_{spec.name}_at",
            **options,
        )


def _answer(outcome: Outcome) -> Response:
    data = {"result": outcome.result, "reports": outcome.reports}
    if outcome.warnings:
        data["warnings"] = outcome.warnings
    return answer(data)


async def _execute(order: Order, calls: Calls) -> Outcome:
    """Run a call and turn what it raises into a problem that has a code."""
    name = order.spec.name
    try:
        return await calls.execute(order)
    except (Problem, HTTPException):
        raise
    except NodeNotFound as error:
        raise Problem(404, str(error)) from error
    except Conflict as error:
        raise Problem(409, f"{name}: others changed the same nodes; try again") from error
    except Unavailable as error:
        raise no_store(name, error) from error
    except TimeoutError as error:
        raise Problem(504, f"{name} took too long; nothing was stored, nor will be") from error
    except PermissionError as error:
        raise Problem(403, f"{name} is not allowed to do that") from error
    except (CannotStore, NotImplementedError) as error:
        raise Problem(500, f"{name}: {error}", code="UNSUPPORTED_VALUE") from error
    except TooLate as error:
        raise Problem(504, f"{name} took too long; nothing was stored") from error
    except Exception as error:
        # The app's own error: its text may hold anything, so it goes to the log alone.
        logger.exception("%s raised", name)
        text = f"{name} raised {type(error).__name__}; the server's log says more"
        raise Problem(500, text, code="EXECUTION_ERROR") from error


def _add_descriptions(app: FastAPI, program: Program) -> None:
    async def functions() -> Response:
        """List the functions of the app."""
        return answer({"functions": sorted(program.functions)})

    async def walkers() -> Response:
        """List the walkers of the app."""
        return answer({"walkers": sorted(program.walkers)})

    async def function(name: str) -> Response:
        """Describe one function."""
        spec = program.functions.get(name)
        if spec is None:
            raise Problem(404, f"function {name} not found")
        parameters = {field.name: describe(field) for field in spec.fields}
        returns = getattr(spec.returns, "__name__", str(spec.returns))
        return answer(
            {"name": name, "signature": {"parameters": parameters, "return_type": returns}}
        )

    async def walker(name: str) -> Response:
        """Describe one walker."""
        spec = program.walkers.get(name)
        if spec is None:
            raise Problem(404, f"walker {name} not found")
        fields = {field.name: describe(field) for field in spec.fields}
        fields[SPAWN_NODE] = {"type": "str", "required": False, "default": "root"}
        return answer({"name": name, "info": {"fields": fields}})

    described: dict[str, Any] = {"methods": ["GET"], "tags": ["app"]}
    missing: dict[str, Any] = {"responses": {404: {"model": Failure}}}
    app.add_api_route("/functions", functions, **described)
    app.add_api_route("/walkers", walkers, **described)
    app.add_api_route("/function/{name}", function, **described, **missing)
    app.add_api_route("/walker/{name}", walker, **described, **missing)
