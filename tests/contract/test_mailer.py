"""Mails over TLS, to a real SMTP server whose certificate is checked."""

from pathlib import Path
from typing import Literal

import pytest

from jac_converge.app_runtime.auth.mailer import Mailer, MailFailed
from tests.servers.certificates import Authority
from tests.servers.mail_server import MailServer

HOST = "127.0.0.2"  # any other name than those of this machine, for which nothing is encrypted
PASSWORD, TO = "a-secret-of-the-mail-server", "ann@people.test"
type Tls = Literal["starttls", "implicit"]


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """Give the one authority that this process trusts."""
    (tmp_path / "trusted").mkdir()
    trusted = Authority(tmp_path / "trusted")
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.certificate))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return trusted


def send(server: MailServer) -> None:
    """Send a mail."""
    Mailer(server.url, "Shop <no-reply@shop.test>").send(TO, "Hello", "It is me.")


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_goes_to_a_server_that_is_who_it_says(authority: Authority, tls: Tls) -> None:
    """With the login, which it takes over TLS alone."""
    certificate = authority.issue("mail", "mail", addresses=[HOST])
    with MailServer("app", PASSWORD, host=HOST, tls=tls, certificate=certificate) as server:
        send(server)
        assert "Hello" == server.wait_for(TO)["Subject"]
        assert 1 == server.logins


@pytest.mark.parametrize("wrong", ["authority", "name"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_no_password_goes_to_a_server_that_is_somebody_else(
    authority: Authority, tmp_path: Path, tls: Tls, wrong: str
) -> None:
    """Nor a mail: its certificate is of another authority, or for another name."""
    signer = Authority(tmp_path) if wrong == "authority" else authority
    address = "127.0.0.3" if wrong == "name" else HOST
    certificate = signer.issue("mail", "mail", addresses=[address])
    with MailServer("app", PASSWORD, host=HOST, tls=tls, certificate=certificate) as server:
        with pytest.raises(MailFailed, match="SSLCertVerificationError"):
            send(server)
        assert (0, []) == (server.logins, server.mails)


def test_no_password_goes_unencrypted_to_another_machine() -> None:
    """Somebody in between may have taken the offer of STARTTLS away."""
    with MailServer("app", PASSWORD, host=HOST) as server:
        with pytest.raises(MailFailed, match="SMTPNotSupportedError"):
            send(server)
        assert (0, []) == (server.logins, server.mails)
