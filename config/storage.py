"""The typed `[converge.storage]` table: where files are. It changes when that gets a setting."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from jac_converge.config.spelling import Bucket, Given, KeyPrefix, Number, ServiceUrl
from jac_converge.config.table import TABLE

__all__ = ["StorageSettings"]


class StorageSettings(BaseModel):
    """`[converge.storage]`: where the files of `store()` are."""

    model_config = TABLE

    kind: Literal["disk", "s3"] = "disk"
    """disk: in folders of this machine, which several pods do not share; s3: in a bucket of S3, or
    of what speaks its protocol."""

    path: Annotated[str, Field(min_length=1)] = "."
    """Folder, relative to jac.toml, in which each `store(NAME)` has one: `./storage` by default,
    where `jac start` has it."""

    bucket: Given[Bucket] = None
    """Bucket for s3. It is not made by us."""

    prefix: KeyPrefix = ""
    """What the name of every object in the bucket begins with, such as `shop/`."""

    region: Annotated[str, Field(min_length=1)] = "us-east-1"
    """Region of the bucket."""

    endpoint_url: Given[ServiceUrl] = None
    """URL of a server that speaks the protocol of S3. None: Amazon's."""

    access_key_id: Given[str] = None
    """Who we are to S3. None: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and
    AWS_SESSION_TOKEN) of the environment."""

    secret_access_key: Given[SecretStr] = None
    """Secret of `access_key_id`; write `"${NAME}"`."""

    connect_timeout: Number[Annotated[float, Field(gt=0, le=60)]] = 5.0
    """Seconds that a connection to S3 may take, and that it may take nothing of what is sent."""

    read_timeout: Number[Annotated[float, Field(gt=0, le=300)]] = 10.0
    """Seconds that S3 may be silent before and in an answer. Then the call is a 503, and so is each
    that needs files, until S3 answers again. It needs some to put a large file together."""

    direct_urls: bool = False
    """Have `get_url` lead to S3 itself, where clients reach it. Off: to this server, which passes
    on what S3 sends."""
