"""A real SMTP server that keeps what it gets."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.servers.process import free_port, wait_until

__all__ = ["MailServer"]

HOST = "127.0.0.1"


class MailServer:
    """A mail server as a context manager; `refuses` makes it take no mail."""

    def __init__(self, user: str, password: str) -> None:
        """Describe it: it wants a login."""
        self.port = free_port()
        self.url = f"smtp://{user}:{password}@{HOST}:{self.port}"
        self.refuses = False
        self.mails: list[EmailMessage] = []
        self._login = user.encode(), password.encode()
        self._controller = Controller(
            self,
            hostname=HOST,
            port=self.port,
            authenticator=self._authenticate,
            auth_require_tls=False,
        )

    def __enter__(self) -> Self:
        """Start it."""
        self._controller.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        self._controller.stop()

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's
        self, _: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take mail of whoever has logged in alone."""
        if not session.authenticated:
            return "530 log in first"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        """Keep a mail."""
        if self.refuses:
            return "451 not now"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 kept"

    def wait_for(self, address: str, number: int = 1) -> EmailMessage:
        """Wait for the so-many-th mail to an address."""
        wait_until(lambda: len(self.to(address)) >= number, within=20, what=f"mail to {address}")
        return self.to(address)[number - 1]

    def to(self, address: str) -> list[EmailMessage]:
        """Return the mails to an address."""
        return [mail for mail in self.mails if mail["To"] == address]

    def _authenticate(self, *given: Any) -> AuthResult:
        data = given[-1]
        return AuthResult(success=(data.login, data.password) == self._login)
