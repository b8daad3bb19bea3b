"""The routes that tell what an app has, as jaclang's own server does.

It changes with what those tell.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from jac_converge.app_runtime.bridge.annotations import bare
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
    described = _Descriptions(program, identity)
    for path in ("/walker/{name}", "/function/{name}"):
        app.add_api_route(path, _nobody, methods=["POST"], include_in_schema=False)
    listed: dict[str, Any] = {"methods": ["GET"], "tags": ["app"]}
    codes = (401, 403, 404, 422, 503, 504)
    missing: dict[str, Any] = {"responses": {code: {"model": Failure} for code in codes}}
    app.add_api_route("/functions", described.functions, **listed)
    app.add_api_route("/walkers", described.walkers, **listed)
    app.add_api_route("/function/{name}", described.function, **listed, **missing)
    app.add_api_route("/walker/{name}", described.walker, **listed, **missing)


async def _nobody(request: Request) -> Response:
    """Answer calls of what is not there; the paths that describe are no reason for a 405."""
    raise Problem(404, f"{request.url.path} not found")


class _Descriptions:
    """What the routes answer."""

    def __init__(self, program: Program, identity: Identity) -> None:
        self._program = program
        self._identity = identity
        # Once, not at each request: a default may be code of the app.
        self._fields = {
            name: {field.name: _told(field, _default(field)) for field in spec.fields}
            for name, spec in program.walkers.items()
        }

    async def functions(self) -> Response:
        """List the functions of the app."""
        return answer({"functions": sorted(self._program.functions)})

    async def walkers(self) -> Response:
        """List the walkers of the app."""
        return answer({"walkers": sorted(self._program.walkers)})

    async def function(self, name: str, request: Request) -> Response:
        """Describe one function."""
        spec = await self._found("function", self._program.functions, name, request)
        parameters = {
            field.name: _told(field, None if field.required else str(field.default))
            for field in spec.fields
        }
        kind = bare(spec.returns)
        returns = getattr(kind, "__name__", str(kind))
        return answer(
            {"name": name, "signature": {"parameters": parameters, "return_type": returns}}
        )

    async def walker(self, name: str, request: Request) -> Response:
        """Describe one walker."""
        await self._found("walker", self._program.walkers, name, request)
        fields = {**self._fields[name], SPAWN_NODE: SPAWN}
        return answer({"name": name, "info": {"fields": fields}})

    async def _found[S: (WalkerSpec, FunctionSpec)](
        self, kind: str, specs: Mapping[str, S], name: str, request: Request
    ) -> S:
        # What is private is told to whoever may call it; and nobody else learns what is not there.
        spec = specs.get(name)
        private = spec is None or not spec.public
        caller = self._identity.calling(request, required=private)
        if caller is not None and private:
            with noted(request, caller):
                await self._identity.in_time(self._identity.check, caller, spec)
        if spec is None:
            raise Problem(404, f"{kind} {name} not found")
        return spec


def _told(field: FieldSpec, default: Any) -> dict[str, Any]:
    # jaclang's own spelling: list[str] is a list, str | None is itself.
    kind = bare(field.annotation)
    name = getattr(kind, "__name__", str(kind))
    return {"type": name, "required": field.required, "default": default}


def _default(field: FieldSpec) -> Any:
    """Return the default of a field, as text where JSON has no form for it."""
    if field.required:
        return None
    try:
        value = field.made()
    except Exception:  # noqa: BLE001 - code of the app, which may need a request around it
        return None
    try:
        return to_wire(value)
    except CannotSend:
        return str(value)
