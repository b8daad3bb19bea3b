"""The configuration on disk: noticed when it changes, kept when it breaks."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jac_converge.config.load import App, ConfigError, load_app
from jac_converge.reconciler.source import Source

GOOD = "[converge.kubernetes]\nreplicas = 2\n"
OTHER = "[converge.kubernetes]\nreplicas = 3\n"


@pytest.fixture
def jac_toml(tmp_path: Path) -> Path:
    """A good jac.toml beside an app."""
    (tmp_path / "shop.jac").write_text("")
    file = tmp_path / "jac.toml"
    replace(file, GOOD)
    return file


def replace(file: Path, text: str) -> None:
    """Save as editors do: another file takes the place of the old one."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def write(file: Path, text: str) -> None:
    """Write into the file itself, at a moment that no clock is too coarse to tell apart."""
    file.write_text(text)
    later = file.stat().st_mtime_ns + 1_000_000
    os.utime(file, ns=(later, later))


def source_of(jac_toml: Path, profile: str | None = None) -> Source:
    """The source of the app beside a jac.toml."""
    return Source(lambda: load_app(jac_toml.parent / "shop.jac", environ={}, profile=profile))


def replicas(source: Source) -> int:
    """What is in force."""
    return source.app.settings.kubernetes.replicas


def trouble(source: Source) -> str:
    """What is wrong with the files as they are."""
    return "" if source.problem is None else str(source.problem)


def test_source_begins_with_what_is_there(jac_toml: Path) -> None:
    """And has nothing new to tell while nobody touches it."""
    source = source_of(jac_toml)
    assert (2, "", False, False) == (
        replicas(source),
        trouble(source),
        source.poll(),
        source.poll(),
    )


def test_source_needs_a_good_configuration_to_begin_with(jac_toml: Path) -> None:
    """There is no last good one yet."""
    replace(jac_toml, "[converge.kubernetes]\nreplicaz = 3\n")
    with pytest.raises(ConfigError, match="replicaz"):
        source_of(jac_toml)


@pytest.mark.parametrize("save", [replace, write])
def test_source_notices_an_edit_once(jac_toml: Path, save: Callable[[Path, str], None]) -> None:
    """Whether the editor replaces the file or writes into it."""
    source = source_of(jac_toml)
    source.poll()
    save(jac_toml, OTHER)
    assert (True, 3, False) == (source.poll(), replicas(source), source.poll())


def test_source_notices_an_edit_made_while_it_was_loading(jac_toml: Path) -> None:
    """Between the reading and the first look, however close."""

    def load_and_edit() -> App:
        app = load_app(jac_toml.parent / "shop.jac", environ={})
        replace(jac_toml, OTHER)
        return app

    source = Source(load_and_edit)
    assert (True, 3) == (source.poll(), replicas(source))


def test_source_tells_nothing_of_an_edit_that_changes_nothing(jac_toml: Path) -> None:
    """A comment, or a save without an edit."""
    source = source_of(jac_toml)
    replace(jac_toml, f"# a comment\n{GOOD}")
    assert (False, 2) == (source.poll(), replicas(source))


def test_source_keeps_the_last_good_one_while_a_file_is_half_written(jac_toml: Path) -> None:
    """A pass in the middle of a save must not take half a file for a wish."""
    source = source_of(jac_toml)
    seen = []
    for text in ("[converge.kuber", f"{OTHER}namespac", OTHER):
        write(jac_toml, text)
        seen.append((source.poll(), replicas(source), bool(source.problem)))
    assert [(True, 2, True), (True, 2, True), (True, 3, False)] == seen


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="emptied"),
        pytest.param("[serve]\nport = 9000\n", id="the table is gone"),
    ],
)
def test_source_takes_no_empty_file_for_a_wish(jac_toml: Path, text: str) -> None:
    """Defaults for everything would delete what nobody asked to delete."""
    source = source_of(jac_toml)
    replace(jac_toml, text)
    assert (True, 2) == (source.poll(), replicas(source))
    assert f"{jac_toml}: converge: the table is gone; nothing is changed" in trouble(source)


@pytest.mark.parametrize(
    ("key", "value"), [("app_name", "other"), ("namespace", "other"), ("context", "other")]
)
def test_source_stays_with_its_app_and_its_place(jac_toml: Path, key: str, value: str) -> None:
    """What was begun elsewhere would be left behind, half kept and half forgotten."""
    source = source_of(jac_toml)
    replace(jac_toml, f'{GOOD}{key} = "{value}"\n')
    assert (True, 2) == (source.poll(), replicas(source))
    assert f'{jac_toml}: converge.kubernetes.{key}: was "' in trouble(source)
    replace(jac_toml, OTHER)
    assert (True, 3, None) == (source.poll(), replicas(source), source.problem)


def test_source_outlives_the_deletion_of_its_file(jac_toml: Path) -> None:
    """Told once; when the file is back as it was, all is well again."""
    source = source_of(jac_toml)
    jac_toml.unlink()
    assert (True, 2, True, False) == (
        source.poll(),
        replicas(source),
        "the table is gone" in trouble(source),
        source.poll(),
    )
    replace(jac_toml, GOOD)
    assert (True, 2, "") == (source.poll(), replicas(source), trouble(source))


def test_source_runs_without_any_configuration(tmp_path: Path) -> None:
    """An app that never had a jac.toml gets one later."""
    (tmp_path / "shop.jac").write_text("")
    source = source_of(tmp_path / "jac.toml")
    assert (1, "", False) == (replicas(source), trouble(source), source.poll())
    replace(tmp_path / "jac.toml", OTHER)
    assert (True, 3) == (source.poll(), replicas(source))


def test_source_notices_a_profile_that_appears(jac_toml: Path) -> None:
    """The file that is not there yet is watched too."""
    replace(jac_toml, f"{GOOD}[environments.prod.converge.kubernetes]\ncontainer_port = 9000\n")
    source = source_of(jac_toml, "prod")
    source.poll()
    replace(jac_toml.with_name("jac.prod.toml"), OTHER)
    assert (True, 3) == (source.poll(), replicas(source))
