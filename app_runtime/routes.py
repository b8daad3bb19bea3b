"""Walkers and functions as routes: typed in, enveloped out.

Only the app's own are here, each under its name, so that OpenAPI tells them apart. It changes with
the routes of jaclang's client runtime.
"""

import logging
from collections.abc import Callable
from typing import Any

from fastapi import Body, FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import body_from
from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.program import (
    GUEST_ROOT,
    CannotSend,
    Exited,
    NodeNotFound,
    Outcome,
    Program,
    TooLate,
    WrongNode,
)
from jac_converge.app_runtime.bridge.values import CannotStore
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.identity import Identity, sent_token
from jac_converge.app_runtime.problems import Problem, answer, answer_with, no_store, too_large
from jac_converge.app_runtime.signatures import (
    SPAWN_NODE,
    Failure,
    describe,
    signature_of,
)
from jac_converge.app_runtime.stores import Conflict, TooLarge, Unavailable
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
    """Add the routes of one walker or function, as OpenAPI describes them."""
    endpoint = _Endpoint(spec, calls, identity)
    call, call_at = endpoint.described()
    kind = "walker" if isinstance(spec, WalkerSpec) else "function"
    options: dict[str, Any] = {
        "methods": ["POST"],
        "tags": [kind],
        "description": spec.doc or None,
        "response_model": endpoint.signature.response,
        "responses": {code: {"model": Failure} for code in (PUBLIC if spec.public else PRIVATE)},
        "route_class_override": straight(endpoint.answer),
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


class _Endpoint:
    """What answers the calls of one walker or function."""

    def __init__(self, spec: WalkerSpec | FunctionSpec, calls: Calls, identity: Identity) -> None:
        self.signature = signature_of(spec)
        self._spec = spec
        self._calls = calls
        self._identity = identity

    async def answer(self, request: Request, raw: bytes) -> Response:
        """Answer a call."""
        claims = self._identity.speaking(sent_token(request), required=not self._spec.public)
        body = body_from(self.signature.body, request, raw)
        node = request.path_params.get("node") or getattr(body, "spawn_node", None)
        return await self._run(claims, raw, body, node or None)

    def described(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """Give what FastAPI describes by its arguments: for a call, and for one at a node."""
        identity, model = self._identity, self.signature.body
        who = Security(identity.optional if self._spec.public else identity.required)
        required = any(field.required for field in self._spec.fields)
        body_of = Body(...) if required else Body(default=None)

        async def call(claims: Claims | None = who, body: Any = body_of) -> None: ...

        async def call_at(node: str, claims: Claims | None = who, body: Any = body_of) -> None: ...

        # FastAPI reads the model of a body from its annotation.
        for endpoint in (call, call_at):
            endpoint.__annotations__["body"] = model if required else model | None
        return call, call_at

    async def _run(
        self, claims: Claims | None, raw: bytes, body: BaseModel, node: str | None
    ) -> Response:
        unused = [body]
        signature, identity = self.signature, self._identity

        def fields() -> dict[str, Any]:
            # What a run did to its values stays with that run.
            return signature.values(unused.pop()) if unused else signature.fields(raw)

        order = Order(
            spec=self._spec,
            fields=fields,
            root=lambda read: identity.root(claims, GUEST_ROOT, read),
            node=node,
        )
        return _answer(await _execute(order, self._calls))


def _answer(outcome: Outcome) -> Response:
    return answer_with(outcome.text)


async def _execute(order: Order, calls: Calls) -> Outcome:
    """Run a call and turn what it raises into a problem that has a code."""
    name = order.spec.name
    try:
        return await calls.execute(order)
    except (Problem, HTTPException):
        raise
    except NodeNotFound as error:
        raise Problem(404, str(error)) from error
    except WrongNode as error:
        wrong = {"loc": ("body", *error.place), "msg": str(error), "type": "node_class"}
        raise RequestValidationError([wrong]) from error
    except Conflict as error:
        raise Problem(409, f"{name}: others changed the same nodes; try again") from error
    except TooLarge as error:
        raise too_large(name, error) from error
    except Unavailable as error:
        raise no_store(name, error) from error
    except PermissionError as error:
        raise Problem(403, f"{name} is not allowed to do that") from error
    except (CannotSend, CannotStore) as error:
        raise Problem(500, f"{name}: {error}", code="UNSUPPORTED_VALUE") from error
    except TooLate as error:
        raise Problem(
            504,
            f"{name} took too long, {error}; nothing was stored, nor will be; do less in one call, "
            "or raise [converge.server] request_timeout",
        ) from error
    except Exception as error:
        # The app's own error: its text may hold anything, so it goes to the log alone.
        logger.exception("%s raised", name)
        raised = str(error) if isinstance(error, Exited) else f"raised {type(error).__name__}"
        text = f"{name} {raised}; the server's log says more"
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

    async def nobody(request: Request) -> Response:
        """Answer calls of what is not there; the paths that describe are no reason for a 405."""
        raise Problem(404, f"{request.url.path} not found")

    for path in ("/walker/{name}", "/function/{name}"):
        app.add_api_route(path, nobody, methods=["POST"], include_in_schema=False)
    described: dict[str, Any] = {"methods": ["GET"], "tags": ["app"]}
    missing: dict[str, Any] = {"responses": {code: {"model": Failure} for code in (404, 422)}}
    app.add_api_route("/functions", functions, **described)
    app.add_api_route("/walkers", walkers, **described)
    app.add_api_route("/function/{name}", function, **described, **missing)
    app.add_api_route("/walker/{name}", walker, **described, **missing)
