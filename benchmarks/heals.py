"""How long one foreign edit lasts: the same edits under `jac scale --watch` and under a peer.

The edit goes out on a connection that is open already, and so is the watch that sees it put back;
so neither is part of what is measured.
"""

import contextlib
import http.client
import json
import random
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jac_converge.reconciler.objects import Object
from tests.cluster.foreign_edits import EDITS, Edit, heal_seconds, path_of
from tests.servers.api import TYPES, Api, ApiFailed
from tests.servers.control_plane import ControlPlane

__all__ = ["KeptApi", "Timed", "calm", "figure", "floor", "heals"]

TIMEOUT = 5.0
PAUSE = 0.1
"""Seconds between two edits, at least: below the limits by rate, and past any gathering."""


class KeptApi(Api):
    """The tests' client over one connection that stays open; for one thread."""

    _kept: http.client.HTTPSConnection | None = None

    def _send(self, verb: str, path: str, body: Mapping[str, Any] | None, timeout: float) -> str:
        if self._kept is None:
            self._kept = self._connection(timeout)
        headers = {"Content-Type": TYPES.get(verb, "application/json")}
        method = "PATCH" if verb == "APPLY" else verb
        self._kept.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._kept.getresponse()
        text = answer.read().decode()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiFailed(answer.status, text)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """What became of one edit."""

    edit: Edit
    seconds: float | None
    """From sending it until a watch showed the object as before; None: it stayed."""


def heals(
    server: ControlPlane, api: Api, *, app: str, namespace: str, times: int, seed: int = 7
) -> Iterator[Timed]:
    """Make edits of every kind, one after the other, each on a calm app."""
    for number, edit in enumerate(random.Random(seed).choices(EDITS, k=times)):  # noqa: S311 - a fixed order
        if edit.kind == "Namespace" and namespace != app:
            continue  # a peer does not keep the namespace
        calm(api, app, namespace)
        time.sleep(PAUSE)
        manager = f"kubectl-edit-{number}"
        seconds = heal_seconds(
            api,
            edit,
            app=app,
            namespace=namespace,
            manager=manager,
            timeout=TIMEOUT,
            watching=server.api,
        )
        yield Timed(edit=edit, seconds=seconds)


def figure(values: list[float], percent: float) -> float:
    """A percentile, in ms."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


def floor(api: Api, namespace: str, times: int) -> float:
    """Median seconds of a bare apply of one ConfigMap that changes something."""
    path = path_of("ConfigMap", namespace, "floor")
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "floor"}}
    taken = []
    for number in range(times):
        began = time.perf_counter()
        api.apply(path, {**head, "data": {"color": str(number)}})
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def calm(api: Api, app: str, namespace: str) -> None:
    """Wait until the app's workloads have settled, so that no roll-out is another edit's noise."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(ApiFailed):
            found = [
                api.get(path_of("Deployment", namespace, app)),
                api.get(path_of("StatefulSet", namespace, f"{app}-redis")),
                api.get(path_of("StatefulSet", namespace, f"{app}-mongodb")),
            ]
            if all(map(_settled, found)):
                return
        time.sleep(0.05)


def _settled(workload: Object) -> bool:
    status, wanted = workload.get("status") or {}, workload["spec"]["replicas"]
    counts = ("availableReplicas", "updatedReplicas", "replicas")
    return status.get("observedGeneration") == workload["metadata"]["generation"] and all(
        status.get(count) == wanted for count in counts
    )
