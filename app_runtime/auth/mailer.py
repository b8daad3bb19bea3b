"""Mail by SMTP: one connection for each, since there are few. It changes with how mail is sent."""

import smtplib
import ssl
from contextlib import closing
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

__all__ = ["MailFailed", "Mailer"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PATIENCE = 10.0  # s for each answer of the server


class MailFailed(Exception):
    """A mail was not sent; the text has no address in it."""


class Mailer:
    """Sends mail through one server. `send` waits for it; call it from a thread."""

    def __init__(self, url: str, sender: str) -> None:
        """Describe it.

        Args:
            url: `smtp://` (with STARTTLS, except on this machine) or `smtps://`, with user and
                password where the server wants them.
            sender: `Shop <no-reply@shop.example>`.
        """
        self._parts = urlsplit(url)
        self._sender = sender

    def send(self, to: str, subject: str, text: str) -> None:
        """Send a text to an address.

        Raises:
            MailFailed: it was not sent, or nobody knows.
        """
        if "=?" in to:  # an account of before may have such a one (see `names.email`)
            raise MailFailed("mail send failed: the address cannot be written to")
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=self._host)
        message.set_content(text)
        try:
            with closing(self._connected()) as server:
                self._greet(server)
                server.send_message(message, to_addrs=[to])
        except (OSError, ValueError) as error:  # what smtplib raises is an OSError
            code = getattr(error, "smtp_code", "")
            raise MailFailed(f"mail send failed ({type(error).__name__}) {code}".strip()) from error

    @property
    def _host(self) -> str:
        return self._parts.hostname or "localhost"

    def _connected(self) -> smtplib.SMTP:
        if self._parts.scheme == "smtps":
            context = ssl.create_default_context()
            port = self._parts.port or 465
            return smtplib.SMTP_SSL(self._host, port, timeout=PATIENCE, context=context)
        return smtplib.SMTP(self._host, self._parts.port or 587, timeout=PATIENCE)

    def _greet(self, server: smtplib.SMTP) -> None:
        if self._parts.scheme != "smtps" and self._host not in LOOPBACK:
            server.starttls(context=ssl.create_default_context())
        if self._parts.username:
            user, password = unquote(self._parts.username), unquote(self._parts.password or "")
            server.login(user, password)
