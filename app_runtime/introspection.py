"""The routes that tell what an app has, as jaclang's own server does.

It changes with what those tell.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from jac_converge.app_runtime.bridge.introspect import FieldSpec, FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.program import CannotSend, Program
from jac_converge.app_runtime.bridge.wire import to_wire
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.problems import Problem, answer
from jac_converge.app_runtime.refusals import noted
from jac_converge.app_runtime.signatures import SPAWN_NODE, Failure

__all__ = ["install"]

SPAWN = {"type": "str (node ID, optional)", "required": False, "default": "root"}


def install(app: FastAPI, program: Program, identity: Identity) -> None:
    """Add them, after the routes of walkers and functions, which may have the same paths."""

    async def found[S: (WalkerSpec, FunctionSpec)](
        kind: str, specs: Mapping[str, S], name: str, request: Request
    ) -> S:
        # What is private is told to whoever may call it; and nobody else learns what is not there.
        spec = specs.get(name)
        private = spec is None or not spec.public
        caller = identity.calling(request, required=private)
        if caller is not None and private:
            with noted(request, caller):
                await identity.in_time(identity.check, caller, spec)
        if spec is None:
            raise Problem(404, f"{kind} {name} not found")
        return spec

    async def functions() -> Response:
        """List the functions of the app."""
        return answer({"functions": sorted(program.functions)})

    async def walkers() -> Response:
        """List the walkers of the app."""
        return answer({"walkers": sorted(program.walkers)})

    async def function(name: str, request: Request) -> Response:
        """Describe one function."""
        spec = await found("function", program.functions, name, request)
        parameters = {
            field.name: _told(field, None if field.required else str(field.default))
            for field in spec.fields
        }
        returns = getattr(spec.returns, "__name__", str(spec.returns))
        return answer(
            {"name": name, "signature": {"parameters": parameters, "return_type": returns}}
        )

    async def walker(name: str, request: Request) -> Response:
        """Describe one walker."""
        spec = await found("walker", program.walkers, name, request)
        fields = {field.name: _told(field, _default(field)) for field in spec.fields}
        fields[SPAWN_NODE] = SPAWN
        return answer({"name": name, "info": {"fields": fields}})

    async def nobody(request: Request) -> Response:
        """Answer calls of what is not there; the paths that describe are no reason for a 405."""
        raise Problem(404, f"{request.url.path} not found")

    for path in ("/walker/{name}", "/function/{name}"):
        app.add_api_route(path, nobody, methods=["POST"], include_in_schema=False)
    listed: dict[str, Any] = {"methods": ["GET"], "tags": ["app"]}
    codes = (401, 403, 404, 422, 503, 504)
    missing: dict[str, Any] = {"responses": {code: {"model": Failure} for code in codes}}
    app.add_api_route("/functions", functions, **listed)
    app.add_api_route("/walkers", walkers, **listed)
    app.add_api_route("/function/{name}", function, **listed, **missing)
    app.add_api_route("/walker/{name}", walker, **listed, **missing)


def _told(field: FieldSpec, default: Any) -> dict[str, Any]:
    # jaclang's own spelling: list[str] is a list, str | None is itself.
    name = getattr(field.annotation, "__name__", str(field.annotation))
    return {"type": name, "required": field.required, "default": default}


def _default(field: FieldSpec) -> Any:
    """Return the default of a field, as text where JSON has no form for it."""
    if field.required:
        return None
    value = field.made()
    try:
        return to_wire(value)
    except CannotSend:
        return str(value)
