"""`[converge.storage]`, and jac-scale's `[storage]` read as that."""

from pathlib import Path

import pytest

from jac_converge.config.load import App, ConfigError, load_app

S3 = '[converge.storage]\nkind = "s3"\nbucket = "shop"\n'


def load(folder: Path, toml: str, **environ: str) -> App:
    """Load an app with this jac.toml."""
    (folder / "app.jac").touch()
    (folder / "jac.toml").write_text(toml)
    return load_app(folder / "app.jac", environ=environ, purpose="serve")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[converge.storage]\nkind = "s3"\n', "bucket: is not given"),
        ('[converge.storage]\nbucket = "shop"\n', 'means nothing with kind = "disk"'),
        (S3 + 'access_key_id = "a"\n', "secret_access_key: is not given"),
        (S3 + 'endpoint_url = "https://me:secret@minio/"\n', "must be the URL of a server"),
        (S3 + 'prefix = "/shop"\n', "must be empty, or names that end with /"),
        ('[converge.storage]\nkind = "ftp"\n', "must be 'disk' or 's3'"),
    ],
)
def test_storage_that_makes_no_sense_is_refused(tmp_path: Path, toml: str, said: str) -> None:
    """With its key, and what to do."""
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, toml)
    assert said in str(raised.value)
    assert "me:secret" not in str(raised.value)


def test_secret_comes_from_the_environment(tmp_path: Path) -> None:
    """And is shown nowhere."""
    toml = S3 + 'access_key_id = "me"\nsecret_access_key = "${S3_SECRET}"\n'
    storage = load(tmp_path, toml, S3_SECRET="very secret").settings.storage
    assert storage.secret_access_key is not None
    assert "very secret" == storage.secret_access_key.get_secret_value()
    assert "very secret" not in repr(storage)


def test_storage_of_jac_scale_is_honoured(tmp_path: Path) -> None:
    """Its bucket is ours; what [converge.storage] says comes first."""
    theirs = '[storage]\nstorage_type = "s3"\nbucket = "photos"\nprefix = "/up/"\n'
    storage = load(tmp_path, theirs).settings.storage
    assert ("s3", "photos", "up/") == (storage.kind, storage.bucket, storage.prefix)
    storage = load(tmp_path, theirs + S3).settings.storage
    assert ("s3", "shop", "up/") == (storage.kind, storage.bucket, storage.prefix)
    local = '[storage]\nstorage_type = "local"\nbucket = "photos"\n'
    assert "disk" == load(tmp_path, local).settings.storage.kind
