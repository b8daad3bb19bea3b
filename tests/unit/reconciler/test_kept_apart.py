"""Several pods that would keep files apart."""

from pathlib import Path

import pytest

from jac_converge.config.load import ConfigError, load_app
from jac_converge.reconciler.kept_apart import call_of, refuse_files_apart

SEVERAL = "[converge.kubernetes]\nreplicas = 3\n"
GROWING = "[converge.kubernetes.autoscaling]\ncpu_utilization_target = 80\nmax_replicas = 4\n"
KEEPS = "walker:pub keep {\n    can go with Root entry { store().delete('a'); }\n}\n"


def look(folder: Path, toml: str, code: str = "") -> None:
    """Look at an app with this jac.toml and this code in a file beside its own."""
    (folder / "app.jac").touch()
    (folder / "photos.jac").write_text(code)
    (folder / "jac.toml").write_text(toml)
    refuse_files_apart(load_app(folder / "app.jac", environ={}))


@pytest.mark.parametrize(
    ("toml", "code", "said"),
    [
        (SEVERAL, KEEPS, "converge.kubernetes.replicas: 3 pods share no disk, but photos.jac:2"),
        (SEVERAL + '[converge.storage]\nkind = "disk"\n', "", "[converge.storage] keeps files"),
        (SEVERAL + '[converge.storage]\npath = "data"\n', "", "or replicas = 1"),
        (GROWING, KEEPS, "autoscaling.max_replicas: 4 pods share no disk"),
    ],
)
def test_files_apart_are_refused(tmp_path: Path, toml: str, code: str, said: str) -> None:
    """With the key, where it is called, and what to set."""
    with pytest.raises(ConfigError) as raised:
        look(tmp_path, toml, code)
    assert said in str(raised.value)
    assert 'set [converge.storage] kind = "s3" and bucket' in str(raised.value)


@pytest.mark.parametrize(
    ("toml", "code"),
    [
        (SEVERAL, ""),
        (SEVERAL + '[converge.storage]\nkind = "s3"\nbucket = "shop"\n', KEEPS),
        ('[converge.storage]\nkind = "disk"\n', KEEPS),
        (GROWING.replace("4", "1\nmin_replicas = 1"), KEEPS),
    ],
    ids=["no files", "a bucket", "one pod", "one pod at most"],
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
