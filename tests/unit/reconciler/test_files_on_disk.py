"""Pods that would keep files on their disks."""

from pathlib import Path

import pytest

from jac_converge.config.load import ConfigError, load_app
from jac_converge.reconciler.files_on_disk import call_of, without_files_on_disk

KEEPS = "walker:pub keep {\n    can go with Root entry { store().delete('a'); }\n}\n"


def look(folder: Path, toml: str, code: str = "") -> tuple[str, ...]:
    """Look at an app with this jac.toml and this code in a file beside its own; its notes."""
    (folder / "app.jac").touch()
    (folder / "photos.jac").write_text(code)
    (folder / "jac.toml").write_text(toml)
    return without_files_on_disk(load_app(folder / "app.jac", environ={})).notes


@pytest.mark.parametrize("toml", ['kind = "disk"\n', 'path = "data"\n'])
def test_files_on_disk_are_refused_where_jac_toml_says_so(tmp_path: Path, toml: str) -> None:
    """With the key, and what to set."""
    with pytest.raises(ConfigError) as raised:
        look(tmp_path, f"[converge.storage]\n{toml}")
    assert "converge.storage: keeps files on disk" in str(raised.value)
    assert 'set kind = "s3" and bucket here' in str(raised.value)


def test_code_that_may_keep_files_is_told(tmp_path: Path) -> None:
    """Where it does; somebody may have meant another `store`, so nothing is refused."""
    (note,) = look(tmp_path, "", KEEPS)
    assert note.startswith("photos.jac:2 calls store(), but pods have no disk that lasts")
    assert 'set [converge.storage] kind = "s3" and bucket' in note


@pytest.mark.parametrize(
    ("toml", "code"),
    [("", ""), ('[converge.storage]\nkind = "s3"\nbucket = "shop"\n', KEEPS)],
    ids=["no files", "a bucket"],
)
def test_other_apps_are_left_alone(tmp_path: Path, toml: str, code: str) -> None:
    """Most apps keep no files, and say nothing about it."""
    assert () == look(tmp_path, toml, code)


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
