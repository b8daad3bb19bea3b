"""The typed `[converge.mail]` table: mail to users. It changes when mails need another setting."""

from pydantic import BaseModel

from jac_converge.config.spelling import Given, ReturnUrl, SmtpUrl
from jac_converge.config.table import TABLE

__all__ = ["MailSettings"]


class MailSettings(BaseModel):
    """`[converge.mail]`: mails by which users verify an address, and reset a password."""

    model_config = TABLE

    smtp_url: Given[SmtpUrl] = None
    """`smtp://USER:PASSWORD@HOST:587` (with STARTTLS) or `smtps://...`; write `"${SMTP_URL}"`.
    None: no mail is sent, and the routes for it are not there."""

    sender: Given[str] = None
    """Whom mails are from, such as `Shop <no-reply@shop.example>`."""

    verify_url: Given[ReturnUrl] = None
    """Page that the mail to verify an address leads to, with a `code` in its query."""

    reset_url: Given[ReturnUrl] = None
    """Page that the mail for a new password leads to, with a `code` in its query."""
