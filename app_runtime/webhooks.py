"""Walkers as webhooks: others post to them, and prove who they are by a signature.

HMAC-SHA-256 over timestamp and body, with a secret that both know. A message counts while its
timestamp is near our clock, and once in that time, whichever worker or pod gets it. It changes
with how messages are signed.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from time import time
from typing import Any

from fastapi import FastAPI, Request
from pydantic_core import to_json
from starlette.responses import Response

from jac_converge.app_runtime.bodies import checked_object, model_from
from jac_converge.app_runtime.bridge.introspect import WalkerSpec
from jac_converge.app_runtime.bridge.mistakes import Mistakes
from jac_converge.app_runtime.bridge.program import SYSTEM_ROOT, Program
from jac_converge.app_runtime.calls import Order
from jac_converge.app_runtime.describing import described_message
from jac_converge.app_runtime.endpoint import Server
from jac_converge.app_runtime.events import EventStream
from jac_converge.app_runtime.once import Once
from jac_converge.app_runtime.outcomes import outcome_of
from jac_converge.app_runtime.problems import Problem, answer_with
from jac_converge.app_runtime.receiving import Received
from jac_converge.app_runtime.rider import Rider, WithRider
from jac_converge.app_runtime.routes import FAILURES
from jac_converge.app_runtime.signatures import Failure, Signature, signature_of
from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.app_runtime.straight import straight
from jac_converge.config.webhooks import Webhooks, WebhookSettings

__all__ = ["Webhook", "install", "webhooks"]

TIMESTAMP, SIGNATURE = "X-Webhook-Timestamp", "X-Webhook-Signature"
SCHEME = "sha256="
MOST_SIGNATURES = 5  # in one header; a sender that changes its secret signs with both
LONGEST_TIMESTAMP = 12  # digits
PARAMETERS = [
    {
        "name": TIMESTAMP,
        "in": "header",
        "required": True,
        "description": "Seconds since the epoch.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"},
    },
    {
        "name": SIGNATURE,
        "in": "header",
        "required": True,
        "description": "`sha256=`, and HMAC-SHA-256 of timestamp, `.` and body, in hex.",
        "schema": {"type": "string"},
    },
]


def webhooks(program: Program) -> list[WalkerSpec]:
    """Return the walkers that are webhooks."""
    return [spec for spec in program.walkers.values() if spec.rest.protocol == "webhook"]


def install(
    app: FastAPI, program: Program, server: Server, settings: Webhooks, store: DocumentStore
) -> None:
    """Add a route for each walker that is a webhook.

    Raises:
        BadDeclaration: one cannot be one; a line for each.
    """
    once, mistakes = Once(store), Mistakes()
    for spec in webhooks(program):
        path = spec.rest.path or f"/webhook/{spec.name}"
        found = settings.get(spec.name, WebhookSettings())
        if wrong := list(_wrong(spec, path, found)):
            mistakes.add(wrong)
            continue
        hook = Webhook(spec, found, server, once)
        app.router.add_api_route(
            path,
            described_message(spec.name, hook.signature),
            methods=["POST"],
            tags=["webhook"],
            summary=spec.doc.partition("\n")[0].rstrip(".") or spec.name,
            operation_id=f"webhook_{spec.name}",
            description=spec.doc or None,
            response_model=hook.signature.response,
            responses={code: {"model": Failure} for code in FAILURES},
            openapi_extra={"parameters": PARAMETERS},
            route_class_override=straight(hook.answer, spec),
        )
    mistakes.tell()


def _wrong(spec: WalkerSpec, path: str, settings: WebhookSettings) -> Iterator[str]:
    """Say why a walker cannot be a webhook."""
    if settings.secret is None:
        text = "a webhook without a secret, so anybody could send to it"
        yield f"{spec.name} is {text}; set [converge.webhooks.{spec.name}] secret"
    if spec.roles:
        yield f"{spec.name} is a webhook: nobody logs in there, so no @roles"
    if spec.files or "{" in path:
        yield f"{spec.name} is a webhook: no files, and no fields in its path"


class Webhook:
    """What answers the messages for one walker."""

    def __init__(
        self,
        spec: WalkerSpec,
        settings: WebhookSettings,
        server: Server,
        once: Once,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        """Describe it.

        Args:
            spec: of the walker.
            settings: with a secret.
            server: runs it.
            once: remembers what was received.
            clock: s since the epoch.
        """
        self.signature: Signature = signature_of(spec)
        self._spec, self._server, self._once = spec, server, once
        given = [settings.secret] if settings.secret is not None else []
        secrets = [*given, *settings.previous_secrets]
        self._secrets = [secret.get_secret_value().encode() for secret in secrets]
        self._tolerance = settings.tolerance_seconds
        # A clock of the sender that is ahead lets its messages live for twice the tolerance, and
        # one of our pods that is behind, or that forgets marks too early, for as long once more.
        self._lasting = 3 * self._tolerance + 1
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        """Check a message, and run the walker with it at the root of the system.

        Raises:
            Problem: 401, nobody that we know has signed it, or not now; 409, it was here before.
        """
        raw = await request.body()
        mark = f"webhook {self._spec.name} {self._signed(request, raw)}"
        received = self._received(checked_object(request, raw))

        def with_mark(store: DocumentStore) -> DocumentStore:
            document = self._once.mark(mark, lasting=self._lasting)
            if document is None:
                raise _received_before()
            return WithRider(store, Rider(document=document))

        # That it was received is stored with what it does, or not at all: whoever dies in between
        # leaves a message that may come again.
        order = Order(
            spec=self._spec, fields=received.values, root=lambda _: SYSTEM_ROOT, over=with_mark
        )
        outcome = await outcome_of(order, self._server.calls)
        if outcome.stream is None:
            return answer_with(outcome.text)
        items = self._server.calls.feeds.items(outcome.stream)
        return EventStream(self._spec.name, items, draining=self._server.draining)

    def _signed(self, request: Request, raw: bytes) -> str:
        """Return what a message is known by, whoever of two secrets signed it; it is good now.

        Raises:
            Problem: it is not.
        """
        stamp = request.headers.get(TIMESTAMP, "")
        sent = request.headers.get(SIGNATURE, "").split(",")[:MOST_SIGNATURES]
        digits = stamp.isascii() and stamp.isdigit() and len(stamp) <= LONGEST_TIMESTAMP
        if not digits or sent == [""]:
            raise Problem(401, f"{TIMESTAMP} (s since the epoch) and {SIGNATURE} are needed")
        if abs(self._clock() - int(stamp)) > self._tolerance:
            text = f"{TIMESTAMP} is more than {self._tolerance} s away from now; sign it anew"
            raise Problem(401, text)
        given = [one.strip().removeprefix(SCHEME).lower().encode() for one in sent]
        message = stamp.encode() + b"." + raw
        wanted = [hmac.digest(key, message, "sha256").hex() for key in self._secrets]
        # All of them each time: how long it takes says nothing about what would fit.
        fits = [hmac.compare_digest(one.encode(), other) for one in wanted for other in given]
        if not any(fits):
            raise Problem(401, f"{SIGNATURE} is not the one of this timestamp and body")
        return hashlib.sha256(message).hexdigest()

    def _received(self, sent: dict[str, Any]) -> Received:
        """Take the fields of the walker; what others send has many more."""
        names = {field.name for field in self._spec.fields}
        text = to_json({name: value for name, value in sent.items() if name in names})
        body = model_from(self.signature.body, text, lambda _: "body")
        return Received(signature=self.signature, text=text, body=body)


def _received_before() -> Problem:
    return Problem(409, "this message was received before", code="ALREADY_RECEIVED")
