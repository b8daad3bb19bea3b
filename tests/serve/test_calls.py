"""Walkers and functions over HTTP, on a real server."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest

from tests.servers.jac_server import JacServer
from tests.servers.process import wait_until

TRAPS = Path(__file__).parent / "apps" / "traps.jac"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give one worker with the app of traps."""
    made = JacServer(TRAPS, tmp_path_factory.mktemp("traps"))
    toml = made.file.with_name("jac.toml")
    toml.write_text(toml.read_text() + "metrics_enabled = true\n")
    with made:
        yield made


def test_typed_body_becomes_the_objects_of_the_app(server: JacServer) -> None:
    """Nested obj, enum and datetime arrive as what the function declares."""
    shape = {"name": "line", "points": [{"x": 1}], "colour": "blue"}
    answer = server.call("/function/describe", shape=shape, when="2030-01-02T03:04:05")
    expected = {"type": "Shape", "point": "Point", "colour": True, "when": "datetime"}
    assert expected == answer.result


@pytest.mark.parametrize(
    ("body", "place"),
    [
        pytest.param({}, ["body", "shape"], id="missing"),
        pytest.param({"shape": {"name": 1}}, ["body", "shape", "name"], id="nested-type"),
        pytest.param(
            {"shape": {"name": "a", "colour": "pink"}}, ["body", "shape", "colour"], id="enum"
        ),
        pytest.param({"shape": {"name": "a"}, "extra": 1}, ["body", "extra"], id="unknown"),
    ],
)
def test_wrong_body_is_refused_with_its_place(
    server: JacServer, body: dict[str, object], place: list[str]
) -> None:
    """422 comes in the envelope and says which field."""
    answer = server.send("POST", "/function/describe", body)
    assert (422, "VALIDATION_ERROR") == (answer.status, answer.code)
    assert place in [detail["loc"] for detail in answer.body["error"]["details"]]


@pytest.mark.parametrize("walker", ["passes_on_unwaited", "passes_on_unwaited_async"])
def test_flow_that_nobody_waits_for_belongs_to_its_call(server: JacServer, walker: str) -> None:
    """What it changes is stored as a whole, and before the answer."""
    user = server.register(f"flow-{walker}")
    assert ["answered"] == server.call(f"/walker/{walker}", user).reports
    assert [[4, 6]] == server.call("/walker/box_values", user).reports


def test_body_that_is_no_json_is_refused(server: JacServer) -> None:
    """It is the caller's mistake, not ours."""
    answer = server.send("POST", "/function/describe", raw=b"{nope")
    assert (422, "VALIDATION_ERROR") == (answer.status, answer.code)
    assert "JSON" in answer.body["error"]["message"]


def test_body_of_another_kind_is_refused_with_the_kind_it_needs(server: JacServer) -> None:
    """A list, or text; the answer names the header to send."""
    answer = server.send("POST", "/walker/put", ["a"], token=server.register("lister"))
    assert 422 == answer.status
    assert "Content-Type: application/json" in answer.body["error"]["message"]


def test_answer_has_the_envelope(server: JacServer) -> None:
    """The five keys of jaclang's client runtime, and nothing else."""
    body = server.call("/walker/shadows", json=5).body
    assert {"ok", "type", "data", "error", "meta"} == body.keys()
    assert (True, "response", None) == (body["ok"], body["type"], body["error"])
    assert {"extra": {"http_status": 200}} == body["meta"]
    assert [[1, 5, 3, 4]] == body["data"]["reports"]
    assert {"_jac_type", "_jac_id", "_jac_archetype", "copy", "json", "model_config", "schema"} == (
        body["data"]["result"].keys()
    )


def test_walker_without_required_fields_needs_no_body(server: JacServer) -> None:
    """A bare POST will do."""
    assert 200 == server.send("POST", "/walker/shadows").status


def test_every_type_of_a_field_survives_the_store(server: JacServer) -> None:
    """Sets, bytes, decimals, keys that are numbers, enums in lists: as they were."""
    server.call("/walker/types_store")
    (found,) = server.call("/walker/types_check").reports
    assert {} == {name: same for name, same in found.items() if not same}
    assert 11 == len(found)


def test_value_that_cannot_be_stored_is_named(server: JacServer) -> None:
    """The caller learns which field, and nothing is stored."""
    answer = server.call("/walker/cannot_store")
    assert (500, "UNSUPPORTED_VALUE") == (answer.status, answer.code)
    assert "Box.value cannot be stored" in answer.body["error"]["message"]


def test_error_of_the_app_stays_in_the_log(server: JacServer) -> None:
    """The caller gets its type, the log the traceback, and nothing is stored."""
    before = server.call("/walker/increment").reports[0]
    answer = server.call("/walker/half_then_fail")
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    assert "42" not in str(answer.body)
    assert "Traceback" not in str(answer.body)
    assert "ValueError: the secret is 42" in server.log_text()
    assert [before + 1] == server.call("/walker/increment").reports


def test_permission_error_is_403(server: JacServer) -> None:
    """A refusal of the app is no fault of the server."""
    answer = server.call("/walker/deny")
    assert (403, "FORBIDDEN") == (answer.status, answer.code)


def test_private_walker_needs_a_token(server: JacServer) -> None:
    """Without one, or with a wrong one, the answer is 401 before anything is looked at."""
    for token in (None, "nonsense", "a.b.c"):
        answer = server.send("POST", "/walker/put", {}, token=token)
        assert (401, "UNAUTHORIZED") == (answer.status, answer.code)
        assert "Bearer" == answer.headers["WWW-Authenticate"]


def test_public_walker_refuses_a_wrong_token(server: JacServer) -> None:
    """Whoever sends a token wants to be somebody; a stale one must not make them a guest."""
    assert 401 == server.call("/walker/increment", "nonsense").status


def test_users_see_their_own_graph_only(server: JacServer) -> None:
    """Each account has a root of its own."""
    ann, bob = server.register("own-ann"), server.register("own-bob")
    server.call("/walker/put", ann, label="ann's")
    assert ["ann's"] == [box["label"] for box in server.call("/walker/boxes", ann).reports]
    assert [] == server.call("/walker/boxes", bob).reports


def test_foreign_node_looks_like_one_that_is_not_there(server: JacServer) -> None:
    """The answers for unknown, malformed and unreadable ids differ in the id alone."""
    ann, bob = server.register("node-ann"), server.register("node-bob")
    (box,) = server.call("/walker/put", ann, label="hers").reports
    foreign = box["_jac_id"]
    for id_ in (foreign, "0" * 32, "nonsense"):
        answer = server.call(f"/walker/look/{id_}", bob)
        assert (404, f"node {id_} not found") == (answer.status, answer.body["error"]["message"])
    assert 404 == server.call("/walker/look", bob, _jac_spawn_node=foreign).status
    assert 404 == server.call("/function/label_of", bob, box=foreign).status
    assert ["hers"] == server.call(f"/walker/look/{foreign}", ann).reports
    assert "hers" == server.call("/function/label_of", ann, box=foreign).result


def test_shared_node_can_be_read_but_not_changed(server: JacServer) -> None:
    """A write that is not granted is undone and warned of; the reading stays."""
    ann, bob = server.register("share-ann"), server.register("share-bob")
    (box,) = server.call("/walker/put", ann, label="hers").reports
    id_ = box["_jac_id"]
    assert 200 == server.call(f"/walker/share/{id_}", ann).status
    assert ["hers"] == server.call(f"/walker/look/{id_}", bob).reports
    answer = server.call(f"/walker/relabel/{id_}", bob, label="his")
    assert ["field_write"] == [warning["operation"] for warning in answer.body["data"]["warnings"]]
    assert ["hers"] == server.call(f"/walker/look/{id_}", ann).reports


def test_deleted_node_is_gone(server: JacServer) -> None:
    """From its neighbours too."""
    ann = server.register("drop-ann")
    ids = [
        server.call("/walker/put", ann, label=label).reports[0]["_jac_id"] for label in ("a", "b")
    ]
    assert 200 == server.call(f"/walker/drop/{ids[0]}", ann).status
    assert 404 == server.call(f"/walker/look/{ids[0]}", ann).status
    assert ["b"] == [box["label"] for box in server.call("/walker/boxes", ann).reports]


def test_any_field_comes_back(server: JacServer) -> None:
    """The stock runtime cannot load `any` with a value, and then deletes the edge to it."""
    ann = server.register("any-ann")
    for value in (1, "x", [1, {"a": None}], None):
        server.call("/walker/put", ann, label="any", value=value)
    expected = [1, "x", [1, {"a": None}], None]
    assert expected == [box["value"] for box in server.call("/walker/boxes", ann).reports]


def test_flow_keeps_the_context_of_its_request(server: JacServer) -> None:
    """The stock `flow` runs as the superuser, on another store."""
    (report,) = server.call("/walker/flowing", server.register("flow-ann")).reports
    assert report["here"] == report["flow"]


def test_reports_and_arguments_are_not_printed(server: JacServer) -> None:
    """What users send is not for the log."""
    assert ["reported hunter2"] == server.call("/walker/chatty", secret="hunter2").reports
    assert "hunter2" not in server.log_text()


def test_function_may_report(server: JacServer) -> None:
    """Its reports come beside its result."""
    answer = server.call("/function/reporting")
    assert (1, ["from a function"]) == (answer.result, answer.reports)


def test_only_what_the_app_defines_is_a_route(server: JacServer) -> None:
    """Imports and helpers of the runtime are not."""
    functions = server.get("/functions").body["data"]["functions"]
    expected = [
        "anap",
        "describe",
        "fail",
        "label_of",
        "look_for_ever",
        "name_of_root",
        "nap",
        "pass_on",
        "process",
        "reporting",
        "wait_for",
    ]
    assert expected == functions
    token = server.register("looks-for-helpers")
    for name in ("jobj", "grant", "uuid4", "__init__"):
        assert 401 == server.get(f"/function/{name}").status
        assert 404 == server.get(f"/function/{name}", token=token).status
        assert server.call(f"/function/{name}").status in (404, 405)


def test_routes_describe_walkers_and_functions(server: JacServer) -> None:
    """As jaclang's introspection does."""
    assert "increment" in server.get("/walkers").body["data"]["walkers"]
    assert 401 == server.get("/walker/put").status
    info = server.get("/walker/put", token=server.register("describes")).body["data"]
    label = {"type": "str", "required": True, "default": None}
    assert ("put", label) == (info["name"], info["info"]["fields"]["label"])
    signature = server.get("/function/nap").body["data"]["signature"]
    assert "str" == signature["return_type"]


@pytest.mark.parametrize("walker", ["increment", "slow_increment", "async_increment"])
def test_concurrent_increments_are_all_counted(server: JacServer, walker: str) -> None:
    """A lost race runs the whole walker again, sync or async, quick or slow."""
    before = server.call("/walker/increment").reports[0]
    fields = {"seconds": 0.005} if walker == "slow_increment" else {}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: server.call(f"/walker/{walker}", **fields).status, range(40))
        )
    counted = answers.count(200)
    assert before + counted + 1 == server.call("/walker/increment").reports[0]
    assert {200, 409} >= set(answers)
    assert counted >= 8


def test_replayed_walker_starts_with_fresh_fields(server: JacServer) -> None:
    """What the run that lost the race appended is not there in the next."""
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda _: server.call("/walker/mutates_its_fields", items=[1]), range(12))
        )
    assert {"[[1, 99]]"} == {str(answer.reports) for answer in answers if answer.status == 200}


def test_sleeping_calls_do_not_wait_for_each_other(server: JacServer) -> None:
    """40 calls that sleep half a second each take far less than 40 times that."""
    for name in ("nap", "anap"):
        began = monotonic()
        with ThreadPoolExecutor(40) as pool:
            path = f"/function/{name}"
            answers = list(pool.map(lambda _, path=path: server.call(path, seconds=0.5), range(40)))
        assert {"rested"} == {answer.result for answer in answers}
        assert monotonic() - began < 40 * 0.5 / 4


def test_late_call_is_refused_and_not_stored(server: JacServer) -> None:
    """After request_timeout the client has its answer, and the walker may not commit."""
    before = server.call("/walker/increment").reports[0]
    answer = server.call("/walker/sleepy", seconds=3.3)
    assert (504, "TIMEOUT") == (answer.status, answer.code)
    # The walker has ended by the time this one has.
    server.call("/function/nap", seconds=0.8)
    assert [before + 1] == server.call("/walker/increment").reports


def test_call_that_waits_to_be_stored_when_its_time_is_up_is_not_stored(
    server: JacServer,
) -> None:
    """Somebody holds the shelf meanwhile; it is called off, whenever they let go."""
    before = server.call("/walker/increment").reports[0]
    file = server.file.parent / ".jac" / "converge" / "shelf.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = server.call("/walker/increment")
        other.execute("ROLLBACK")
    assert (504, "TIMEOUT") == (answer.status, answer.code)
    assert "request_timeout of 3 s is over" in answer.body["error"]["message"]
    assert [before + 1] == server.call("/walker/increment").reports


def running(server: JacServer) -> int:
    """Return how many threads are at work for calls."""
    text = server.get("/metrics").body.decode()
    (line,) = [it for it in text.splitlines() if it.startswith("jac_calls_running{")]
    return int(float(line.rpartition(" ")[2]))


@pytest.mark.parametrize(
    ("walker", "fields"),
    [
        pytest.param("endless", {"how": "read"}, id="reads"),
        pytest.param("endless", {"how": "visit"}, id="visits"),
        pytest.param("endless", {"how": "flow"}, id="flow"),
        pytest.param("endless_async", {}, id="asynchronous"),
    ],
)
def test_walker_without_an_end_ends_with_its_time(
    server: JacServer, walker: str, fields: dict[str, str]
) -> None:
    """Its thread is free again, and nothing of it is stored, also where it catches all errors."""
    before = server.call("/walker/increment").reports[0]
    answer = server.call(f"/walker/{walker}", **fields)
    assert (504, "TIMEOUT") == (answer.status, answer.code)
    wait_until(lambda: not running(server), within=10, what="the end of the walker")
    assert [before + 1] == server.call("/walker/increment").reports
    (number,) = server.call("/walker/async_increment").reports
    assert before + 2 == number


def test_effect_that_takes_its_time_denies_no_answer(server: JacServer, tmp_path: Path) -> None:
    """What it waits for may be anything, and others write meanwhile."""
    file = tmp_path / "go on"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.call, "/walker/increment_and_wait", file=str(file))
        answer = waiting.result(20)
    (number,) = answer.reports
    assert [number + 1] == server.call("/walker/increment").reports
    assert 1 == running(server)
    file.touch()
    wait_until(file.with_name("go on.seen").exists, within=10, what="the end of the effect")


def test_large_body_is_refused(server: JacServer) -> None:
    """By its length, and without one as soon as too much has come."""
    for raw in (large := json.dumps({"secret": "x" * 3000}).encode(), iter([large])):
        answer = server.send("POST", "/walker/chatty", raw=raw)
        assert (413, "BODY_TOO_LARGE") == (answer.status, answer.code)
    assert 200 == server.call("/walker/chatty", secret="x" * 1000).status


@pytest.mark.parametrize("error", ["NotImplementedError", "TimeoutError"])
def test_error_of_the_app_is_its_own(server: JacServer, error: str) -> None:
    """Whatever its class, it is no time-out of ours, and its text is for the log alone."""
    answer = server.call("/function/fail", error=error, text="secret-token-123")
    assert (500, "EXECUTION_ERROR") == (answer.status, answer.code)
    assert f"fail raised {error}" in answer.body["error"]["message"]
    assert "secret-token-123" not in str(answer.body)
    assert f"{error}: secret-token-123" in server.log_text()


def test_unknown_route_has_the_envelope(server: JacServer) -> None:
    """Errors of the framework too."""
    answer = server.get("/nope")
    assert (404, "NOT_FOUND", False) == (answer.status, answer.code, answer.body["ok"])
    answer = server.send("DELETE", "/walker/increment")
    assert (405, "METHOD_NOT_ALLOWED") == (answer.status, answer.code)
