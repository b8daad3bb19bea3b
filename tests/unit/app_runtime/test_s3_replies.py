"""What an operator is told when S3 refuses."""

from datetime import UTC, datetime

import pytest

from jac_converge.app_runtime.files.replies import Refusal
from jac_converge.app_runtime.files.signing import Credentials, Signer

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MALFORMED = "<Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region>"
DATE = "Fri, 02 Jan 2026 04:04:05 GMT"


def refusal(method: str, status: int, body: str = "", **headers: str) -> Refusal:
    """Describe one."""
    return Refusal(
        method=method,
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=f"<Error>{body}</Error>".encode() if body else b"",
        region="us-east-1",
        now=NOW,
    )


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (refusal("PUT", 400, MALFORMED), 'set [converge.storage] region = "eu-west-1"'),
        (refusal("HEAD", 301, x_amz_bucket_region="eu-west-1"), 'region = "eu-west-1"'),
        (refusal("PUT", 301, "<Code>PermanentRedirect</Code>"), "the bucket is elsewhere"),
        (refusal("HEAD", 403, date=DATE), "3600 s behind that of S3"),
        (refusal("PUT", 403, "<Code>RequestTimeTooSkewed</Code>", date=DATE), "3600 s behind"),
        (refusal("PUT", 403, "<Code>AccessDenied</Code>"), "the keys need s3:GetObject"),
        (refusal("HEAD", 403), "(HTTP 403): the keys need"),
        (refusal("HEAD", 404, x_minio_error_code="NoSuchBucket"), "make the bucket"),
        (refusal("PUT", 500, "<Code>InternalError</Code>"), "(InternalError)"),
        (refusal("PUT", 502), "(HTTP 502)"),
    ],
)
def test_refusal_says_what_to_do(refused: Refusal, said: str) -> None:
    """With the name that S3 has for it."""
    assert said in refused.text("a.png")
    assert not refused.gone


@pytest.mark.parametrize(
    "refused",
    [
        refusal("HEAD", 404),
        refusal("GET", 404, "<Code>NoSuchKey</Code>"),
        refusal("GET", 412, "<Code>PreconditionFailed</Code>"),
    ],
)
def test_what_is_not_there_is_no_refusal(refused: Refusal) -> None:
    """But an answer like any other."""
    assert refused.gone


def test_credentials_are_shown_nowhere() -> None:
    """Whatever prints a signer, such as a traceback with its variables."""
    credentials = Credentials(key_id="me", secret="hidden-1", token="hidden-2")
    assert "hidden" not in repr(Signer(credentials=credentials, host="h", region="r"))
