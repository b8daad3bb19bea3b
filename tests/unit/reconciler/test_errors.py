"""What each answer of the API server means."""

import json
from typing import Any

import pytest

from jac_converge.reconciler.errors import (
    ClusterError,
    Conflict,
    Gone,
    Immutable,
    Invalid,
    Missing,
    Refused,
    ServerFault,
    Terminating,
    Throttled,
    Unserved,
    classify,
)


def status(message: str, **details: Any) -> bytes:
    """A Status body."""
    return json.dumps({"kind": "Status", "message": message, "details": details}).encode()


ANSWERS: dict[str, tuple[int, bytes, type[ClusterError]]] = {
    "bad request": (400, status("cannot parse"), Invalid),
    "not logged in": (401, status("Unauthorized"), Refused),
    "not allowed": (403, status("cannot list services"), Refused),
    "namespace on its way out": (
        403,
        status("is being terminated", causes=[{"reason": "NamespaceTerminating"}]),
        Terminating,
    ),
    "not there": (404, status('services "shop" not found'), Missing),
    "no such group": (404, b"404 page not found\n", Unserved),
    "no such kind": (
        404,
        status("the server could not find the requested resource"),
        Unserved,
    ),
    "lost race": (409, status("the object has been modified"), Conflict),
    "version too old": (410, status("too old resource version"), Gone),
    "a successor of the same name": (
        422,
        status('metadata.uid: Invalid value: "1": field is immutable'),
        Conflict,
    ),
    "immutable selector": (422, status("spec.selector: field is immutable"), Immutable),
    "immutable cluster IP": (422, status("may not change once set"), Immutable),
    "stateful set": (
        422,
        status("updates to statefulset spec for fields other than 'replicas' are forbidden"),
        Immutable,
    ),
    "missing value": (422, status("spec.ports[0].name: Required value"), Invalid),
    "throttled": (429, status("too many requests"), Throttled),
    "unknown field": (
        500,
        status("failed to create typed patch object: field not declared in schema"),
        Invalid,
    ),
    "internal error": (500, status("etcdserver: leader changed"), ServerFault),
    "unavailable": (503, b"<html>proxy</html>", ServerFault),
    "a body of another shape": (502, b"[]", ServerFault),
    "an odd status": (418, b"", Invalid),
}


@pytest.mark.parametrize(("code", "body", "expected"), ANSWERS.values(), ids=list(ANSWERS))
def test_classify_names_the_error(code: int, body: bytes, expected: type[ClusterError]) -> None:
    """Each answer becomes exactly one class."""
    assert expected is type(classify("Service/shop apply", code, body, {}))


def test_classify_marks_an_expired_login() -> None:
    """A 401 is told from a 403, because only the first can be helped by logging in again."""
    expired = classify("services list", 401, status("Unauthorized"), {})
    forbidden = classify("services list", 403, status("forbidden"), {})
    assert (True, False) == (
        isinstance(expired, Refused) and expired.expired,
        isinstance(forbidden, Refused) and forbidden.expired,
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"Retry-After": "7"}, 7.0, id="seconds"),
        pytest.param({"retry-after": "1"}, 1.0, id="lower case"),
        pytest.param({"Retry-After": "Wed, 21 Oct"}, None, id="a date is not understood"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_classify_reads_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """The server's own patience is carried along."""
    error = classify("services list", 429, status("slow down"), headers)
    assert isinstance(error, Throttled)
    assert expected == error.retry_after
    told = "slow down" if expected is None else f"slow down (asks for {expected:g} s of patience)"
    assert told == error.cause


def test_error_tells_subject_cause_and_advice() -> None:
    """A message says what failed, why, and what to do."""
    error = classify("services list", 403, status("cannot list services"), {})
    assert (
        "services list failed (Refused): cannot list services; "
        "ask for this permission, or use another context" == str(error)
    )


def test_error_cuts_a_foreign_body() -> None:
    """A proxy's page does not fill the terminal."""
    error = classify("services list", 503, b"x" * 10_000, {})
    assert 256 == len(error.cause)


def test_classify_takes_a_request_without_a_login_for_one_that_ended() -> None:
    """A login plugin that gives nothing leaves us anonymous; no permission would help."""
    message = 'services is forbidden: User "system:anonymous" cannot list resource "services"'
    error = classify("services list", 403, status(message), {})
    assert isinstance(error, Refused)
    assert (True, True) == (error.expired, "log in again" in str(error))
