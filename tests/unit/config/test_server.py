"""`[converge.server]` and `[converge.mail]`: what their keys must agree on."""

import pytest
from pydantic import ValidationError

from jac_converge.config.model import Settings


def test_session_cookies_need_the_url_of_the_app() -> None:
    """Which says whether browsers are to send them over TLS alone."""
    with pytest.raises(ValidationError, match=r"server\.public_url .*session_cookies needs it"):
        Settings.model_validate({"server": {"session_cookies": True}})
    given = {"session_cookies": True, "public_url": "https://shop.example"}
    assert Settings.model_validate({"server": given}).server.session_cookies


@pytest.mark.parametrize("roles", [[], ["guest"], ["Admin"], [""]])
def test_roles_are_fit(roles: list[str]) -> None:
    """An empty list would open what the code restricts."""
    with pytest.raises(ValidationError, match=r"server\.roles"):
        Settings.model_validate({"server": {"roles": {"publish": roles}}})


@pytest.mark.parametrize("missing", ["sender", "verify_url", "reset_url"])
def test_mail_server_needs_the_rest(missing: str) -> None:
    """Each is named, and no message shows the password of the server."""
    whole = {
        "smtp_url": "smtp://app:hunter2@mail.example",
        "sender": "Shop <no-reply@shop.example>",
        "verify_url": "https://shop.example/verify",
        "reset_url": "https://shop.example/new-password",
    }
    table = {key: value for key, value in whole.items() if key != missing}
    with pytest.raises(ValidationError, match=rf"mail\.{missing} ") as caught:
        Settings.model_validate({"mail": table})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Settings.model_validate({"mail": whole}))
