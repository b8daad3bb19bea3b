"""`/metrics`: what this process has done since it began, in Prometheus' text format.

Each worker process counts for itself and answers for itself, so every series carries the process
that it is of. It changes when there is something else to tell.
"""

import os
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jac_converge.app_runtime.calls import Calls
from jac_converge.app_runtime.stores.tally import COUNTS, Tally

__all__ = ["install"]

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # s
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER = "other"  # a client may invent methods and paths, and must not invent series
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

MEANINGS = {
    "http_requests_total": "Requests that ended, by route and status.",
    "http_request_seconds": "Seconds from a request to the end of its answer.",
    "calls_running": "Threads that are at work for a call, whether somebody still waits or not.",
    "call_replays_total": "Runs of a call after one that lost a race.",
    "store_reads_total": "Questions to a tier of memory.",
    "store_hits_total": "Documents that were asked for by id and there.",
    "store_misses_total": "Documents that were asked for by id and not there.",
    "store_commits_total": "Batches that were to be written.",
    "store_conflicts_total": "Batches that were not written since somebody was faster.",
    "store_errors_total": "Questions and batches that got no answer.",
    "store_round_trips_total": "Commands that a server was sent, or pipelines of them.",
    "store_bytes_in_total": "Bytes received from a server.",
    "store_bytes_out_total": "Bytes sent to a server.",
}

type Labels = Mapping[str, str | int | float]
type Sample = tuple[str, Labels, float]
"""What is added to the name, labels, value."""


class _Requests:
    """How many requests ended how, and how long they took. One event loop counts and tells."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, str, int]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self.ended[method, route, status] += 1
        self.seconds[route] += seconds
        self.buckets[route][bisect_left(BOUNDS, seconds)] += 1

    def endings(self) -> Iterator[Sample]:
        for (method, route, status), count in sorted(self.ended.items()):
            yield "", {"method": method, "route": route, "status": status}, count

    def durations(self) -> Iterator[Sample]:
        for route, counts in sorted(self.buckets.items()):
            total = 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
                total += count
                yield "_bucket", {"route": route, "le": bound}, total
            yield "_sum", {"route": route}, self.seconds[route]
            yield "_count", {"route": route}, total


class _Measured:
    """ASGI middleware that counts each request under its route."""

    def __init__(self, app: ASGIApp, *, requests: _Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()  # 500: what a request gets that raises

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            method = scope["method"] if scope["method"] in METHODS else OTHER
            # The router leaves the route in the scope; who never came there has none.
            route = getattr(scope.get("route"), "path", OTHER)
            self._requests.count(method, route, status, time.perf_counter() - began)


def install(app: FastAPI, tallies: Sequence[Tally], calls: Calls) -> None:
    """Add the route, and what counts requests around everything else.

    Args:
        app: with all its other middleware.
        tallies: of the tiers of memory.
        calls: know how many runs there were, and are.
    """
    requests = _Requests()
    app.add_middleware(_Measured, requests=requests)
    worker = os.getpid()

    async def metrics() -> Response:
        """Tell what this worker process has done since it began."""
        lines = _lines(requests, tallies, calls, worker)
        return Response("\n".join(lines) + "\n", media_type=CONTENT_TYPE)

    app.add_api_route("/metrics", metrics, include_in_schema=False)


def _lines(
    requests: _Requests, tallies: Sequence[Tally], calls: Calls, worker: int
) -> Iterator[str]:
    yield from _family("http_requests_total", "counter", requests.endings(), worker)
    yield from _family("http_request_seconds", "histogram", requests.durations(), worker)
    yield from _family("calls_running", "gauge", [("", {}, calls.running)], worker)
    yield from _family("call_replays_total", "counter", [("", {}, calls.replays)], worker)
    for name in COUNTS:
        samples = [("", {"tier": tally.tier}, getattr(tally, name)) for tally in tallies]
        yield from _family(f"store_{name}_total", "counter", samples, worker)


def _family(name: str, kind: str, samples: Iterable[Sample], worker: int) -> Iterator[str]:
    yield f"# HELP jac_{name} {MEANINGS[name]}"
    yield f"# TYPE jac_{name} {kind}"
    for suffix, labels, value in samples:
        pairs = (f'{key}="{label}"' for key, label in {**labels, "worker": worker}.items())
        yield f"jac_{name}{suffix}{{{','.join(pairs)}}} {value}"
