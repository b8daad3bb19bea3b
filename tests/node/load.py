"""Bounded load on the to-do list, through its Service: what failed, and what has to be there.

A few clients, each with an account, a pause after each request, and no second try: what a client
would have to repeat is a failure. Half of them keep their connection for as long as the server
does, as browsers and proxies do; the others open one for each request.
"""

import http.client
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.servers.process import wait_until

__all__ = ["Client", "Load"]

TIMEOUT = 30.0  # s; a server that answers no more is a failure


@dataclass(slots=True)
class Client:
    """One client of the app at an address; `keep` keeps its connection."""

    host: str
    keep: bool
    token: str = ""
    connections: int = 0
    """How many it opened."""
    _open: http.client.HTTPConnection | None = field(default=None, repr=False)

    def call(self, path: str, **fields: Any) -> tuple[int, Any]:
        """POST fields, once; returns status and body.

        Raises:
            OSError: there was no answer, or half of one.
            HTTPException: the same.
        """
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if not self.keep:
            headers["Connection"] = "close"
        connection = self._open
        if connection is None or connection.sock is None:
            connection = self._open = http.client.HTTPConnection(self.host, timeout=TIMEOUT)
            self.connections += 1
        try:
            connection.request("POST", path, json.dumps(fields), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except BaseException:
            self.close()
            raise

    def register(self, name: str) -> None:
        """Make an account, and go on as it."""
        status, body = self.call("/user/register", username=name, password="correct horse")
        assert 201 == status, body
        self.token = body["data"]["token"]

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None


class Load:
    """Clients that create projects, as a context manager."""

    def __init__(self, host: str, name: str, *, clients: int = 4, pause: float = 0.1) -> None:
        """Describe it.

        Args:
            host: address of the Service.
            name: begins the names of accounts and projects; nobody else's.
            clients: how many; every other one keeps its connection.
            pause: s after each request of a client.
        """
        self._clients = [Client(host, keep=number % 2 == 0) for number in range(clients)]
        self._name = name
        self._pause = pause
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.statuses: Counter[int] = Counter()
        self.broken: list[str] = []
        """Requests without an answer, and why."""
        self.acknowledged: set[str] = set()
        """Projects that the server said to have stored."""

    def __enter__(self) -> Self:
        """Register, and begin."""
        for number, client in enumerate(self._clients):
            client.register(f"{self._name}-{number}")
            thread = threading.Thread(target=self._run, args=(number, client), name="load")
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let each client finish its request."""
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT)
        for client in self._clients:
            client.close()

    def go_on(self, requests: int = 20) -> None:
        """Wait until so many more requests went well, of every client some."""
        goal = self.statuses[200] + requests
        wait_until(lambda: self.statuses[200] >= goal, within=120, what=f"{requests} requests")

    def listed(self) -> set[str]:
        """The projects that the app itself tells of, once nobody sends anything more."""
        names = set()
        for client in self._clients:
            status, body = client.call("/walker/list_projects")
            client.close()
            assert 200 == status, body
            names |= {_name(report["project"]) for report in body["data"]["reports"]}
        return names

    @property
    def told(self) -> str:
        """The outcome in one line."""
        opened = [client.connections for client in self._clients]
        return f"{dict(self.statuses)}, {len(self.broken)} broken, connections {opened}"

    def _run(self, number: int, client: Client) -> None:
        count = 0
        while not self._stop.is_set():
            count += 1
            project = f"{self._name}-{number}-{count}."
            began = time.monotonic()
            try:
                status, body = client.call("/walker/create_project", name=project)
            except (OSError, http.client.HTTPException) as error:
                took = time.monotonic() - began
                self.broken.append(f"client {number}, after {took:.1f} s: {error!r}")
            else:
                self.statuses[status] += 1
                if status == 200:
                    self.acknowledged.add(project)
                elif status != 503 and "OUTCOME_UNKNOWN" not in str(body):
                    self.broken.append(f"client {number}: {status} {body}")
            self._stop.wait(self._pause)


def _name(project: Any) -> str:
    """The name of a project, wherever in its description it stands."""
    found = re.search(r"load-[0-9a-f]+-\d+-\d+\.", json.dumps(project))
    return found[0] if found else ""
