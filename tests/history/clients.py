"""Many clients at once, over real connections, and a record of every call.

    WorkloadBroken   an answer that no workload allows for: a mistake of the server or of the test

It changes with what an answer tells about what is stored.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from tests.history.history import NOBODY, History, Operation, Outcome
from tests.history.workloads import Request, Workload, World, last_looks
from tests.servers.process import wait_until

__all__ = ["Crowd", "WorkloadBroken", "look", "perform", "plant"]

HOST = "127.0.0.1"
PATIENCE = 60.0  # s for one answer; longer than the app's request_timeout, which gives a 504
BREATH = 0.05  # s before a client that was refused asks again
REFUSED = ("WRITE_CONFLICT", "UNAVAILABLE", "NOT_READY", "TIMEOUT")
"""Codes of the reference of HTTP that say that nothing was stored, nor will be."""
IN_DOUBT = "OUTCOME_UNKNOWN"
NO_ANSWER = 0


class WorkloadBroken(Exception):
    """A server answered what it never should."""


def perform(port: int, request: Request, client: int) -> tuple[Operation, int]:
    """Ask on a connection of its own; returns the record, and the status (0 without an answer).

    Raises:
        WorkloadBroken: the answer is neither a success nor a refusal.
    """
    invoked = time.monotonic()
    status, body = _ask(port, request)
    completed = time.monotonic()
    asked = Operation(
        client=client,
        kind=request.kind,
        invoked=invoked,
        outcome=Outcome.UNKNOWN,
        appends=request.appends,
        adds=request.adds,
    )
    code = "" if status == NO_ANSWER or body["error"] is None else body["error"]["code"]
    if status == NO_ANSWER or code == IN_DOUBT:
        return asked, status
    if code in REFUSED:
        return replace(asked, completed=completed, outcome=Outcome.FAIL), status
    data = body["data"]
    if status != 200 or "warnings" in data:
        raise WorkloadBroken(f"{request.path} was answered with {status}: {body}")
    report = data["reports"][0] if data["reports"] else {"lists": {}, "numbers": {}}
    operation = replace(
        asked,
        completed=completed,
        outcome=Outcome.OK,
        lists={key: tuple(values) for key, values in report["lists"].items()},
        numbers=report["numbers"],
    )
    return operation, status


def _ask(port: int, request: Request) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        try:
            connection.connect()
        except ConnectionRefusedError:
            # Nothing was sent, so nothing can be stored.
            return 503, {"error": {"code": "UNAVAILABLE"}, "data": None}
        headers = {"Content-Type": "application/json"}
        connection.request("POST", request.path, json.dumps(request.fields), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException):
        return NO_ANSWER, None
    finally:
        connection.close()


def plant(port: int, *, registers: int, accounts: int) -> World:
    """Make the nodes of a run."""
    status, body = _ask(port, World.seeds(registers=registers, accounts=accounts))
    if status != 200:
        raise WorkloadBroken(f"plant was answered with {status}: {body}")
    return World.of(body["data"]["reports"][0])


def look(ports: Sequence[int], world: World, *, within: float = 30.0) -> list[Operation]:
    """Look at everything through every server, again and again until all see the same.

    A call that nobody waits for any more may still be on its way: what two rounds agree on is the
    end. All rounds are part of the history, so a server that sees less than before is found out.

    Raises:
        WorkloadBroken: a look was refused.
        TimeoutError: it goes on changing.
    """
    looks: list[Operation] = []
    rounds: list[list[tuple[Mapping[str, tuple[int, ...]], Mapping[str, int]]]] = []

    def settled() -> bool:
        done = [perform(port, request, NOBODY)
                for request in last_looks(world) for port in ports]  # fmt: skip
        looks.extend(operation for operation, _ in done)
        if refused := [status for _, status in done if status != 200]:
            raise WorkloadBroken(f"the last look was answered with {refused}")
        rounds.append([(operation.lists, operation.numbers) for operation, _ in done])
        return len(rounds) > 1 and rounds[-1] == rounds[-2]

    wait_until(settled, within=within, what="two looks that agree")
    return looks


class Crowd:
    """Clients that ask as fast as they are answered, while the block runs."""

    def __init__(
        self,
        ports: Sequence[int],
        world: World,
        workload: Workload,
        *,
        clients: int,
        seed: int = 1,
        each: int | None = None,
    ) -> None:
        """Describe it; nobody asks before `with`.

        Args:
            ports: servers; each client goes round all of them.
            world: the nodes they ask about.
            workload: what they ask for.
            clients: threads.
            seed: of their dice.
            each: calls of each client, after which it stops; None: until the block ends.
        """
        self._ports = ports
        self._each = each
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._errors: list[Exception] = []
        self._statuses: Counter[int] = Counter()
        self._acknowledged: Counter[int] = Counter()
        self._began = self._ended = 0.0
        self._threads = []
        for client in range(clients):
            dice = random.Random(f"{seed}/{client}")  # noqa: S311 - dice, not secrets
            asks = workload(world, client, dice)
            self._threads.append(
                threading.Thread(target=self._run, args=(client, asks), name=f"client-{client}")
            )

    @property
    def operations(self) -> list[Operation]:
        """What was done so far."""
        with self._lock:
            return list(self._operations)

    @property
    def statuses(self) -> Counter[int]:
        """How often each status was answered; 0: no answer."""
        with self._lock:
            return Counter(self._statuses)

    @property
    def seconds(self) -> float:
        """How long the block took."""
        return self._ended - self._began

    def progress(self, calls: int, *, within: float = 60.0) -> None:
        """Wait until each server has acknowledged this many more calls from now on.

        Raises:
            TimeoutError: one of them has not.
        """
        with self._lock:
            before = Counter(self._acknowledged)

        def moved() -> bool:
            with self._lock:
                return all(self._acknowledged[p] - before[p] >= calls for p in self._ports)

        what = f"{calls} calls through each of {len(self._ports)} servers"
        wait_until(moved, within=within, what=what, unless=self._check)

    def join(self) -> None:
        """Wait until every client has done what it was told."""
        for thread in self._threads:
            thread.join()
        self._check()

    def __enter__(self) -> Self:
        """Let them ask."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the answers to what they have asked; those with a number of calls do them."""
        if self._each is None or kind is not None:
            self._stop.set()
        for thread in self._threads:
            thread.join()
        self._ended = time.monotonic()
        if kind is None:
            self._check()

    def history(self, looks: Sequence[Operation]) -> History:
        """Return everything that was done, with the last looks."""
        return History.of([*self.operations, *looks])

    def _run(self, client: int, asks: Iterator[Request]) -> None:
        for number, request in enumerate(asks):
            if self._stop.is_set() or number == self._each:
                return
            port = self._ports[(client + number) % len(self._ports)]
            try:
                operation, status = perform(port, request, client)
            except Exception as error:  # noqa: BLE001 - the main thread raises it
                with self._lock:
                    self._errors.append(error)
                self._stop.set()
                return
            with self._lock:
                self._operations.append(operation)
                self._statuses[status] += 1
                self._acknowledged[port] += operation.outcome is Outcome.OK
            if operation.outcome is not Outcome.OK:
                self._stop.wait(BREATH)

    def _check(self) -> None:
        with self._lock:
            errors = list(self._errors)
        if errors:
            raise ExceptionGroup("clients failed", errors)
