"""Pods that would keep files on their disks."""

from pathlib import Path

import pytest

from jac_converge.config.load import ConfigError, load_app
from jac_converge.reconciler.files_on_disk import call_of, refuse_files_on_disk

KEEPS = "walker:pub keep {\n    can go with Root entry { store().delete('a'); }\n}\n"


def look(folder: Path, toml: str, code: str = "") -> None:
    """Look at an app with this jac.toml and this code in a file beside its own."""
    (folder / "app.jac").touch()
    (folder / "photos.jac").write_text(code)
    (folder / "jac.toml").write_text(toml)
    refuse_files_on_disk(load_app(folder / "app.jac", environ={}))


@pytest.mark.parametrize(
    ("toml", "code", "said"),
    [
        ("", KEEPS, "converge.storage: photos.jac:2 calls store()"),
        ('[converge.storage]\nkind = "disk"\n', "", "it keeps files on disk"),
        ('[converge.storage]\npath = "data"\n', "", "it keeps files on disk"),
    ],
)
def test_files_on_disk_are_refused(tmp_path: Path, toml: str, code: str, said: str) -> None:
    """With the key, where it is called, and what to set."""
    with pytest.raises(ConfigError) as raised:
        look(tmp_path, toml, code)
    assert said in str(raised.value)
    assert 'set kind = "s3" and bucket here' in str(raised.value)


@pytest.mark.parametrize(
    ("toml", "code"),
    [("", ""), ('[converge.storage]\nkind = "s3"\nbucket = "shop"\n', KEEPS)],
    ids=["no files", "a bucket"],
)
def test_other_apps_are_left_alone(tmp_path: Path, toml: str, code: str) -> None:
    """Most apps keep no files, and say nothing about it."""
    look(tmp_path, toml, code)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("with entry { store('./photos').delete('a'); }", "a.jac:1 calls store()"),
        ("\n\nglob files = own_files ();", "a.jac:3 calls own_files()"),
        ('# store()\n#* store()\n *#\nglob a = \'store()\';\n"""store()"""', None),
        ("with entry { shop.store(1); restore(); store_all(); }", None),
        ("def store(a: int) -> int;\nwith entry { store(1); }", None),
        ("import from shop { buy, store }\nwith entry { store(1); }", None),
        ("import shop as store;\nwith entry { store(1); }", None),
        ("with entry { store = shop(); store(1); }", None),
        ("def store(a: int) -> int;\nwith entry { own_files(); }", "a.jac:2 calls own_files()"),
    ],
)
def test_call_is_found_in_code(code: str, found: str | None) -> None:
    """And neither in texts nor where the app has a `store` of its own."""
    assert found == call_of({"a.jac": code})
