"""The walkers `_before_request` and `_authenticate`, which run before each call of the app.

Each is a call of its own, at the root of the caller, whose token was checked before. They can only
refuse: nobody gets in by them who would not get in without them. It changes with what such a walker
is told, and with how it refuses.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from fastapi.requests import HTTPConnection

from jac_converge.app_runtime.bridge.introspect import AUTHENTICATE, WalkerSpec
from jac_converge.app_runtime.calls import Calls, Order
from jac_converge.app_runtime.identity import Caller, Identity
from jac_converge.app_runtime.outcomes import outcome_of
from jac_converge.app_runtime.problems import Problem

__all__ = ["Headers", "Middleware"]

logger = logging.getLogger(__name__)

LONGEST = 500  # characters of a refusal
LOWEST, HIGHEST = 400, 599


class Headers(dict[str, str]):
    """Headers of a request, which are found however their names are written."""

    def __init__(self, sent: Mapping[str, str]) -> None:
        # The first of several counts, as for whoever looks for a token.
        super().__init__({name.title(): value for name, value in reversed(list(sent.items()))})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.title())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.title())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or something else where it was not sent."""
        return super().get(name.title(), default)


class Middleware:
    """Runs them, in the order in which they are given."""

    def __init__(self, walkers: Mapping[str, WalkerSpec], identity: Identity, calls: Calls) -> None:
        self._walkers = walkers
        self._identity = identity
        self._calls = calls

    async def admit(self, request: HTTPConnection, caller: Caller | None) -> None:
        """Let a call through, or not.

        Raises:
            Problem: a walker refuses it, or failed: then nobody knows what it would have said.
            HTTPException: so a walker says.
        """
        for name, spec in self._walkers.items():
            outcome = await outcome_of(self._order(spec, request, caller), self._calls)
            if outcome.stream is not None:
                logger.error("%s gave a generator, which refuses nothing and lets nobody in", name)
                raise Problem(500, "the server failed; its log says why", code="INTERNAL_ERROR")
            refused = next(_refusals(name, outcome.reports), None)
            if refused is not None:
                raise refused

    def _order(self, spec: WalkerSpec, request: HTTPConnection, caller: Caller | None) -> Order:
        return Order(
            spec=spec,
            fields=lambda: _given(request, spec),
            root=lambda read: self._identity.root(caller, None, read),
        )


def _given(request: HTTPConnection, spec: WalkerSpec) -> dict[str, Any]:
    headers = Headers(request.headers)
    given = {
        "headers": headers,
        "request": {
            "method": request.scope.get("method", "GET"),  # a websocket has none
            "path": request.scope["path"],  # `url` parses it again, into another one perhaps
            "query": dict(request.query_params),
            "headers": headers,
            "client": request.client.host if request.client else None,
        },
    }
    wanted = {field.name for field in spec.fields}
    return {name: value for name, value in given.items() if name in wanted}


def _refusals(name: str, reports: list[Any]) -> Iterator[Problem]:
    """Read what a walker reported.

    `{"error": TEXT, "status": N}` refuses. Who authenticates has to say so, since a walker that
    fell asleep must open no door.
    """
    told = [report for report in reports if isinstance(report, dict)]
    usual = 401 if name == AUTHENTICATE else 403
    for report in told:
        if "error" in report:
            status = report.get("status")
            if not isinstance(status, int) or not LOWEST <= status <= HIGHEST:
                status = usual
            yield Problem(status, str(report["error"])[:LONGEST])
    if name == AUTHENTICATE and not any(report.get("authenticated") is True for report in told):
        yield Problem(usual, "the app does not let this request in")
