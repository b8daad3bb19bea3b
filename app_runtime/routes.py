"""Walkers and functions as routes: typed in, enveloped out.

Only the app's own are here, each under its name, so that OpenAPI tells them apart. It changes with
the routes of jaclang's client runtime.
"""

import re
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, compile_path

from jac_converge.app_runtime.bridge.introspect import FunctionSpec, WalkerSpec
from jac_converge.app_runtime.bridge.mistakes import Mistakes
from jac_converge.app_runtime.bridge.program import Program
from jac_converge.app_runtime.bridge.restspecs import BadDeclaration
from jac_converge.app_runtime.endpoint import Endpoint, Server
from jac_converge.app_runtime.events import MEDIA_TYPE
from jac_converge.app_runtime.signatures import Failure, signature_of
from jac_converge.app_runtime.straight import straight

__all__ = ["PLACES", "install", "refuse_shadows"]

MANY = ("/walker/{name}", "/function/{name}")
"""Ours, and meant to be hidden by walkers and functions of these names."""
PLACES = {"http": "walker", "websocket": "ws", "webhook": "webhook"}
"""Protocol of a walker -> where it is."""
FAILURES = (401, 403, 404, 409, 413, 415, 422, 500, 503, 504)


def refuse_shadows(app: FastAPI, program: Program) -> None:
    """Look, when all routes are there, whether a path of the app hides one of ours, or of its own.

    Raises:
        BadDeclaration: it does; a line for each.
    """
    mistakes = Mistakes()
    callables: list[WalkerSpec | FunctionSpec] = [
        *program.walkers.values(),
        *program.functions.values(),
    ]
    own = {id(spec) for spec in callables}
    for spec in callables:
        protocol, path = spec.rest.protocol, spec.rest.path
        if protocol != "http":
            with mistakes.noted():
                _refuse_hidden(app, spec, path or f"/{PLACES[protocol]}/{spec.name}")
        if path is None or path == "/":
            continue
        for route in app.routes:
            ours = id(getattr(route, "spec", None)) not in own
            many = getattr(route, "path", "") in MANY
            if ours and not many and _fits(route, spec, path):
                text = f"{_verb(spec)} {path} of {spec.name}"
                mistakes.add([f"{text} is a path of the server's own"])
    mistakes.tell()


def _refuse_hidden(app: FastAPI, spec: WalkerSpec | FunctionSpec, path: str) -> None:
    """Look whether somebody else answers where a webhook or websocket is.

    Raises:
        BadDeclaration: nobody would ever reach it.
    """
    first = next((route for route in app.routes if _fits(route, spec, path)), None)
    found = getattr(first, "spec", None)
    if found is not None and found is not spec:
        text = f"{_verb(spec)} {path} is wanted by {found.name} and by {spec.name}"
        raise BadDeclaration(f"{text}; give one of them another path with @restspec")


def _fits(route: BaseRoute, spec: WalkerSpec | FunctionSpec, path: str) -> bool:
    websocket = spec.rest.protocol == "websocket"
    scope = {
        "type": "websocket" if websocket else "http",
        "method": spec.rest.method if spec.rest.protocol == "http" else "POST",
        "path": re.sub(r"\{[^}]*\}", "x", path),
    }
    return route.matches(scope)[0] is Match.FULL


def _verb(spec: WalkerSpec | FunctionSpec) -> str:
    verbs = {"websocket": "WS", "webhook": "POST"}
    return verbs.get(spec.rest.protocol, spec.rest.method)


def install(app: FastAPI, program: Program, server: Server) -> list[str]:
    """Add the routes of every walker and function.

    Returns:
        Regular expressions of the paths to which files may be sent.

    Raises:
        BadDeclaration: a path does not fit the fields of its walker, or is that of another one; a
            line for each.
    """
    routes, mistakes = _Routes(app, server), Mistakes()
    specs: list[WalkerSpec | FunctionSpec] = [
        *program.walkers.values(),
        *program.functions.values(),
    ]
    http = [spec for spec in specs if spec.rest.protocol == "http"]
    for spec in sorted((one for one in http if not one.rest.plain), key=_generality):
        with mistakes.noted():
            routes.add(spec, method=spec.rest.method, path=spec.rest.path)
    for spec in http:
        with mistakes.noted():
            routes.add(spec, method="POST", path=None)
    mistakes.tell()
    # Last, since a path of somebody else may look like a node of this one.
    routes.add_nodes()
    return routes.for_files


def _generality(spec: WalkerSpec | FunctionSpec) -> list[bool]:
    """Say in which order paths are looked at: `/users/me` before `/users/{name}`."""
    return ["{" in part for part in (spec.rest.path or "").split("/")]


class _Routes:
    """The routes so far."""

    def __init__(self, app: FastAPI, server: Server) -> None:
        self._app, self._server = app, server
        self._taken: dict[tuple[str, str], str] = {}
        self._endpoints: list[tuple[Endpoint, str, str, str]] = []
        self.for_files: list[str] = []

    def add(self, spec: WalkerSpec | FunctionSpec, *, method: str, path: str | None) -> None:
        kind = "walker" if isinstance(spec, WalkerSpec) else "function"
        own = f"/{kind}/{spec.name}"
        named = path or own
        # Whatever the fields in it are called: requests have none of their names.
        key = (method, re.sub(r"\?P<\w+>", "", compile_path(named)[0].pattern))
        owner = self._taken.setdefault(key, spec.name)
        if owner != spec.name:
            raise BadDeclaration(f"{method} {named} is wanted by {owner} and by {spec.name}")
        signature = signature_of(spec)
        endpoint = Endpoint(spec, signature, self._server, method=method, path=named)
        id_ = f"{kind}_{spec.name}"
        if (method, named) != ("POST", own):
            id_ += f"_{method.lower()}"
        self._route(endpoint, method, named, id_, at_node=False)
        if kind == "walker" and "node" not in endpoint.parameters:
            self._endpoints.append((endpoint, method, named, id_))

    def add_nodes(self) -> None:
        for endpoint, method, path, id_ in self._endpoints:
            self._route(endpoint, method, f"{path}/{{node}}", f"{id_}_at", at_node=True)

    def _route(
        self, endpoint: Endpoint, method: str, path: str, id_: str, *, at_node: bool
    ) -> None:
        spec = endpoint.spec
        summary = spec.doc.partition("\n")[0].rstrip(".") or spec.name
        if spec.public:
            summary += " (public)"
        if at_node:
            summary += ", at a node"
        description = spec.doc
        if spec.roles:
            text = f"Needs the role {' or '.join(spec.roles)}."
            description = f"{description}\n\n{text}" if description else text
        extra: dict[str, Any] = {"x-roles": list(spec.roles)} if spec.roles else {}
        if spec.public:
            extra["security"] = [{}]  # beside the ways to say who one is, which FastAPI adds
        responses: dict[int | str, dict[str, Any]] = {code: {"model": Failure} for code in FAILURES}
        if spec.streams:
            text = "Server-sent events, one for each item, and `end` after the last."
            if isinstance(spec, WalkerSpec):
                text = f"The answer; or, where a generator is all that it reports: {text}"
            responses[200] = {"content": {MEDIA_TYPE: {}}, "description": text}
        self._app.router.add_api_route(
            path,
            endpoint.described(at_node=at_node),
            methods=[method],
            tags=["walker" if isinstance(spec, WalkerSpec) else "function"],
            summary=summary,
            operation_id=id_,
            description=description or None,
            openapi_extra=extra or None,
            response_model=endpoint.signature.response,
            responses=responses,
            route_class_override=straight(endpoint.answer, spec),
        )
        if endpoint.takes_files:
            self.for_files.append(compile_path(path)[0].pattern)
