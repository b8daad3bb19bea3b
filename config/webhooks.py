"""The typed `[converge.webhooks.NAME]` tables: with what others sign what they send.

It changes when a webhook needs another key.
"""

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from jac_converge.config.spelling import EnvName, Given, Whole
from jac_converge.config.table import TABLE

__all__ = ["WebhookSettings", "Webhooks"]


class WebhookSettings(BaseModel):
    """`[converge.webhooks.NAME]`: the walker NAME as a webhook, at `/webhook/NAME`."""

    model_config = TABLE

    secret: Given[SecretStr] = None
    """What the sender signs with, at least 16 bytes; write `"${NAME}"`. Without it, the app does
    not start: nobody could be told from anybody else."""

    previous_secrets: tuple[SecretStr, ...] = ()
    """Secrets of before: what is signed with one counts until you remove it here."""

    tolerance_seconds: Whole[Annotated[int, Field(ge=1, le=3600)]] = 300
    """Seconds that the timestamp of a message may be away from our clock."""


Webhooks = dict[EnvName, WebhookSettings]
