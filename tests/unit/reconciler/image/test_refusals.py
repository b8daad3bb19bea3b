"""What a registry refuses is told, also when it says nothing itself."""

import pytest

from jac_converge.reconciler.image.refusals import answered

SUBJECT = "registry.example/shop:1 lookup"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, b"", "it does not let us in (HTTP 401, as shop of file); run `docker login reg"),
        (403, b" \n", "it does not allow that (HTTP 403, as shop of file); ask for the right"),
        (418, b"", "it gave no reason (HTTP 418, as shop of file)"),
        (401, b"go away", "go away (HTTP 401, as shop of file); run `docker login reg"),
        (404, b'{"errors": [{"code": "GONE"}]}', "GONE (HTTP 404, as shop of file); check"),
        (404, b'{"errors": []}', "it has nothing of that name (HTTP 404, as shop of file); "),
    ],
)
def test_refusal_has_a_reason(status: int, body: bytes, told: str) -> None:
    """An answer to a HEAD has no body."""
    assert told in str(answered(SUBJECT, status, body, {}, "as shop of file"))
