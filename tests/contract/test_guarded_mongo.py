"""The circuit breaker before MongoDB, on a server that goes mute behind a proxy."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pymongo.errors import OperationFailure

from jac_converge.app_runtime.stores import Document, Unavailable, WriteBatch
from jac_converge.app_runtime.stores.guarded import Guarded
from jac_converge.app_runtime.stores.mongo import Mongo
from tests.servers.mongo_server import MongoServer
from tests.servers.process import wait_until
from tests.servers.tcp_proxy import TcpProxy

SHUT = "the next probe will tell"


@dataclass(slots=True)
class Behind:
    """The store, and how often MongoDB itself was asked for a sign of life."""

    store: Guarded
    proxy: TcpProxy
    asked: list[bool]


@pytest.fixture
def behind(mongo_server: MongoServer) -> Iterator[Behind]:
    """Give a store whose server can be made mute."""
    with TcpProxy(mongo_server.port) as proxy:
        limits = "socketTimeoutMS=500&serverSelectionTimeoutMS=500&connectTimeoutMS=500"
        mongo = Mongo.open(f"mongodb://127.0.0.1:{proxy.port}/?{limits}", database="guarded")
        asked: list[bool] = []

        def answers() -> bool:
            asked.append(mongo.answers())
            return asked[-1]

        store = Guarded(mongo, subject="MongoDB", answers=answers, is_silence=mongo.is_silence)
        yield Behind(store=store, proxy=proxy, asked=asked)
        store.close()


@pytest.mark.parametrize("fault", ["stall", "refuse"])
def test_outage_costs_one_time_out(behind: Behind, fault: str) -> None:
    """Everybody after the first is told at once, and nobody when it answers again."""
    note = Document(id=f"note-{fault}", kind="note", body={})
    behind.store.commit(WriteBatch(creates=(note,)))
    getattr(behind.proxy, fault)()
    with pytest.raises(Unavailable) as first:
        behind.store.get([note.id])
    assert SHUT not in str(first.value)
    for ask in (lambda: behind.store.get([note.id]), behind.store.ping):
        with pytest.raises(Unavailable, match=SHUT):
            ask()
    behind.proxy.resume()

    def answered() -> bool:
        try:
            return behind.store.get([note.id]).keys() == {note.id}
        except Unavailable:
            return False

    wait_until(answered, within=20, what="MongoDB's answer")


def test_refusal_is_no_outage(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says no has answered, and nobody else has to wait for a probe."""

    def refuse(*_: object) -> None:
        raise Unavailable("not allowed") from OperationFailure("not allowed")

    monkeypatch.setattr(Mongo, "get", refuse)
    with pytest.raises(Unavailable, match="not allowed"):
        behind.store.get(["any"])
    assert [] == behind.asked
    behind.store.ping()


def test_one_slow_answer_is_no_outage(behind: Behind) -> None:
    """The server is asked once more before everybody is turned away."""
    behind.proxy.stall()
    behind.store._answers = lambda: behind.proxy.resume() or True  # type: ignore[func-returns-value]
    with pytest.raises(Unavailable):
        behind.store.get(["any"])
    assert {} == behind.store.get(["any"])
