"""A real SMTP server that keeps what it gets."""

import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.servers.process import free_port, wait_until

__all__ = ["MailServer"]

HOST = "127.0.0.1"


class MailServer:
    """A mail server as a context manager; `refuses` makes it take no mail."""

    def __init__(
        self,
        user: str,
        password: str,
        *,
        host: str = HOST,
        tls: Literal["", "starttls", "implicit"] = "",
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """Describe it: it wants a login.

        Args:
            user: that logs in.
            password: of the user.
            host: where it listens.
            tls: how a connection is encrypted, if it is.
            certificate: paths of it and of its key.
        """
        self.port = free_port()
        scheme = "smtps" if tls == "implicit" else "smtp"
        self.url = f"{scheme}://{user}:{password}@{host}:{self.port}"
        self.refuses = False
        self.mails: list[EmailMessage] = []
        self.logins = 0
        """How often somebody said a password."""
        self._login = user.encode(), password.encode()
        context = _context(*certificate) if certificate is not None else None
        self._controller = Controller(
            self,
            hostname=host,
            port=self.port,
            ssl_context=context if tls == "implicit" else None,
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            authenticator=self._authenticate,
            auth_require_tls=tls == "starttls",
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
        self.logins += 1
        data = given[-1]
        return AuthResult(success=(data.login, data.password) == self._login)


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
