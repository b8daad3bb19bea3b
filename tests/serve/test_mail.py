"""Addresses verified and passwords reset by mail, through a real SMTP server."""

import os
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote

import pytest

from tests.serve.app_with_roles import PASSWORD, ROLES
from tests.servers.jac_server import Answer, JacServer
from tests.servers.mail_server import MailServer

SMTP_PASSWORD = "a-secret-of-the-mail-server"
NEW = "another battery staple"


@pytest.fixture(scope="module")
def mail() -> Iterator[MailServer]:
    """Give a mail server."""
    with MailServer("app", SMTP_PASSWORD) as server:
        yield server


@pytest.fixture(scope="module")
def server(mail: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JacServer]:
    """Give an app that sends mail."""
    env = os.environ | {"SMTP_URL": mail.url}
    described = JacServer(ROLES, tmp_path_factory.mktemp("mail"), env=env)
    with (described.file.parent / "jac.toml").open("a") as toml:
        toml.write(
            '[converge.mail]\nsmtp_url = "${SMTP_URL}"\nsender = "Shop <no-reply@shop.test>"\n'
            'verify_url = "https://shop.test/verify"\nreset_url = "https://shop.test/reset"\n'
        )
    with described as running:
        yield running


def register(server: JacServer, address: str) -> str:
    """Register by an address; returns the token."""
    return server.register(address)


def code_in(mail: EmailMessage, page: str) -> str:
    """Find the code of a mail."""
    found = re.search(rf"https://shop\.test/{page}\S*code=(\S+)", mail.get_content())
    assert found is not None, mail.get_content()
    return unquote(found[1])


def verified(server: JacServer, mail: MailServer, address: str) -> str:
    """Register, and verify the address; returns the token."""
    token = register(server, address)
    assert 200 == server.send("POST", "/user/send-verification", token=token).status
    code = code_in(mail.wait_for(address), "verify")
    answer = server.send("POST", "/user/verify-identity", {"code": code}, token=token)
    assert [True] == [one["verified"] for one in answer.body["data"]["identities"]]
    return token


def forget(server: JacServer, address: str) -> Answer:
    """Ask for a new password."""
    return server.send("POST", "/user/forgot-password", {"email": address})


def reset(server: JacServer, code: str, password: str = NEW) -> Answer:
    """Set a new password."""
    return server.send("POST", "/user/reset-password", {"code": code, "new_password": password})


def login(server: JacServer, name: str, password: str) -> int:
    """Log in; returns the status."""
    body: dict[str, Any] = {"username": name, "password": password}
    return server.send("POST", "/user/login", body).status


def test_password_is_reset_once_by_mail(server: JacServer, mail: MailServer) -> None:
    """Through an address that was verified; every session from before ends."""
    token = verified(server, mail, "ann@people.test")
    assert 200 == forget(server, "Ann@People.test").status
    sent = mail.wait_for("ann@people.test", 2)
    assert ("Shop <no-reply@shop.test>", "A new password at roles") == (
        sent["From"],
        sent["Subject"],
    )
    code = code_in(sent, "reset")
    assert 400 == reset(server, code, "short").status
    done = reset(server, code)
    assert 200 == done.status
    assert 401 == server.get("/user/me", token=token).status
    assert 200 == server.get("/user/me", token=done.body["data"]["token"]).status
    assert [401, 200] == [login(server, "ann@people.test", one) for one in (PASSWORD, NEW)]
    assert (400, "UPDATE_FAILED") == (reset(server, code).status, reset(server, code).code)


def test_address_is_verified_by_its_account_alone(server: JacServer, mail: MailServer) -> None:
    """Not by whoever registered it for somebody else, nor by a code for another purpose."""
    token = register(server, "bob@people.test")
    assert 200 == server.send("POST", "/user/send-verification", token=token).status
    code = code_in(mail.wait_for("bob@people.test"), "verify")
    other = register(server, "mallory@people.test")
    for wrong, sender in ((code, other), (f"{code[:-2]}AA", token), ("", token)):
        answer = server.send("POST", "/user/verify-identity", {"code": wrong}, token=sender)
        assert (400, "UPDATE_FAILED") == (answer.status, answer.code)
    assert 401 == server.send("POST", "/user/verify-identity", {"code": code}).status
    assert 400 == reset(server, code).status
    change = {"email": "robert@people.test", "current_password": PASSWORD}
    assert 200 == server.send("PATCH", "/user/me", change, token=token).status
    late = server.send("POST", "/user/verify-identity", {"code": code}, token=token)
    assert 400 == late.status


def test_forgotten_password_tells_nobody_who_is_there(server: JacServer, mail: MailServer) -> None:
    """The same answer for nobody, and for an address that was never verified; no mail to either."""
    register(server, "carl@people.test")
    verified(server, mail, "dora@people.test")
    people = ("nobody@people.test", "carl@people.test", "dora@people.test")
    answers = [forget(server, one) for one in people]
    assert [(200, answers[0].body)] * 3 == [(one.status, one.body) for one in answers]
    mail.wait_for("dora@people.test", 2)
    assert [[], []] == [mail.to(one) for one in people[:2]]
    assert 400 == forget(server, "no address").status


def test_reset_goes_with_the_address_it_was_sent_to(server: JacServer, mail: MailServer) -> None:
    """Whoever reads a mailbox that is no longer the account's gets nothing."""
    token = verified(server, mail, "gina@people.test")
    assert 200 == forget(server, "gina@people.test").status
    code = code_in(mail.wait_for("gina@people.test", 2), "reset")
    change = {"email": "regina@people.test", "current_password": PASSWORD}
    assert 200 == server.send("PATCH", "/user/me", change, token=token).status
    assert (400, "UPDATE_FAILED") == (reset(server, code).status, reset(server, code).code)


def test_whoever_forgets_holds_up_nobody_who_verifies(server: JacServer, mail: MailServer) -> None:
    """Anybody may ask for a new password of an address."""
    token = register(server, "hans@people.test")
    while 429 != forget(server, "hans@people.test").status:
        pass
    assert 200 == server.send("POST", "/user/send-verification", token=token).status
    assert mail.wait_for("hans@people.test")


def test_address_stands_for_no_other(server: JacServer) -> None:
    """An encoded word in a header may be a list of addresses."""
    body = {"username": "=?utf-8?q?x=40evil.test=2C?=b@corp.test", "password": PASSWORD}
    identity = {"type": "email", "value": body["username"]}
    credential = {"type": "password", "password": PASSWORD}
    sent = {"identities": [identity], "credential": credential}
    assert 400 == server.send("POST", "/user/register", sent).status


def test_mails_are_bounded(server: JacServer, mail: MailServer) -> None:
    """Nobody fills the mailbox of somebody else."""
    verified(server, mail, "erin@people.test")
    statuses = [forget(server, "erin@people.test").status for _ in range(4)]
    assert 429 == statuses[-1]
    assert 200 == statuses[0]


def test_mail_server_that_refuses_is_told(server: JacServer, mail: MailServer) -> None:
    """To whoever waits for the mail, without what it says."""
    token = register(server, "fred@people.test")
    mail.refuses = True
    try:
        answer = server.send("POST", "/user/send-verification", token=token)
    finally:
        mail.refuses = False
    assert (503, "UNAVAILABLE") == (answer.status, answer.code)
    assert SMTP_PASSWORD not in server.log_text()
    assert "fred@people.test" not in server.log_text()


def test_routes_are_not_there_without_a_mail_server(api: JacServer) -> None:
    """Off until configured."""
    assert 404 == forget(api, "ann@people.test").status
