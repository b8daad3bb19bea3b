"""The configuration on disk: noticed when it changes, kept when it breaks."""

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from jac_converge.config.load import App, ConfigError, load_app
from jac_converge.reconciler.images import Images
from jac_converge.reconciler.source import LONGEST, STANDS, Source

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


@dataclass
class Clock:
    """Time that stands still."""

    now: float = 100.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.now


STILL = Clock()


def source_of(
    jac_toml: Path, profile: str | None = None, clock: Callable[[], float] = STILL
) -> Source:
    """The source of the app beside a jac.toml."""
    file = jac_toml.parent / "shop.jac"
    return Source(lambda: load_app(file, environ={}, profile=profile), clock=clock)


def told_after_a_while(source: Source, clock: Clock) -> bool:
    """Whether there is something new to tell, and not before it has stood for a while."""
    assert not source.poll()
    clock.now += STANDS
    return source.poll()


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


def test_source_says_nothing_of_a_file_that_is_half_written(jac_toml: Path) -> None:
    """A look in the middle of a save takes half a file neither for a wish nor for a mistake."""
    source = source_of(jac_toml)
    seen = []
    for text in ("", "[converge.kuber", f"{OTHER}namespac", OTHER):
        write(jac_toml, text)
        seen.append((source.poll(), replicas(source), trouble(source)))
    assert [(False, 2, ""), (False, 2, ""), (False, 2, ""), (True, 3, "")] == seen


def test_source_tells_a_file_that_stays_broken_once(jac_toml: Path) -> None:
    """Its time begins anew with each write; the last good one stays in force all along."""
    clock = Clock()
    source = source_of(jac_toml, clock=clock)
    source.poll()
    write(jac_toml, "[converge.kuber")
    assert not source.poll()
    clock.now += STANDS / 2
    write(jac_toml, "[converge.kubern")
    assert not source.poll()
    clock.now += STANDS / 2
    assert (False, "") == (source.poll(), trouble(source))
    clock.now += STANDS
    assert (True, False, 2) == (source.poll(), source.poll(), replicas(source))
    assert str(jac_toml) in trouble(source)
    write(jac_toml, GOOD)
    assert (True, "") == (source.poll(), trouble(source))


def test_source_takes_no_beginning_of_a_file_for_a_wish(jac_toml: Path) -> None:
    """Half a file may be good, and want less: then it has to stand a while, too."""
    clock = Clock()
    whole = f"{GOOD}[converge.kubernetes.redis]\nenabled = false\n"
    replace(jac_toml, whole)
    source = source_of(jac_toml, clock=clock)
    source.poll()
    write(jac_toml, OTHER)
    assert (False, 2) == (source.poll(), replicas(source))
    write(jac_toml, whole.replace("2", "4"))
    assert (True, 4) == (source.poll(), replicas(source))
    write(jac_toml, OTHER)
    assert (True, 3) == (told_after_a_while(source, clock), replicas(source))


def test_source_tells_no_mistake_that_is_mended_while_it_is_read(jac_toml: Path) -> None:
    """A build takes a while; what it found wrong may be right again by then."""
    clock = Clock()
    good = source_of(jac_toml).app

    def build() -> App:
        if "#" in jac_toml.read_text():
            clock.now += STANDS
            write(jac_toml, f"{GOOD}\n")
            raise ConfigError(good.problem("converge", "is of no use"))
        return good

    source = Source(build, clock=clock)
    source.poll()
    write(jac_toml, f"{GOOD}# half\n")
    assert [(False, ""), (False, "")] == [(source.poll(), trouble(source)) for _ in range(2)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="emptied"),
        pytest.param("[serve]\nport = 9000\n", id="the table is gone"),
    ],
)
def test_source_takes_no_empty_file_for_a_wish(jac_toml: Path, text: str) -> None:
    """Defaults for everything would delete what nobody asked to delete."""
    clock = Clock()
    source = source_of(jac_toml, clock=clock)
    replace(jac_toml, text)
    assert (True, 2) == (told_after_a_while(source, clock), replicas(source))
    assert f"{jac_toml}: converge: the table is gone; nothing is changed" in trouble(source)


@pytest.mark.parametrize(
    ("key", "value"), [("app_name", "other"), ("namespace", "other"), ("context", "other")]
)
def test_source_stays_with_its_app_and_its_place(jac_toml: Path, key: str, value: str) -> None:
    """What was begun elsewhere would be left behind, half kept and half forgotten."""
    clock = Clock()
    source = source_of(jac_toml, clock=clock)
    replace(jac_toml, f'{GOOD}{key} = "{value}"\n')
    assert (True, 2) == (told_after_a_while(source, clock), replicas(source))
    assert f'{jac_toml}: converge.kubernetes.{key}: was "' in trouble(source)
    replace(jac_toml, OTHER)
    assert (True, 3) == (told_after_a_while(source, clock), replicas(source))
    assert source.problem is None


def test_source_outlives_the_deletion_of_its_file(jac_toml: Path) -> None:
    """Told once; when the file is back as it was, all is well again."""
    clock = Clock()
    source = source_of(jac_toml, clock=clock)
    jac_toml.unlink()
    assert (True, 2, True, False) == (
        told_after_a_while(source, clock),
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


class Building(Images):
    """Watches a folder, as what builds an image does; its files are what the image is of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.built_of: list[list[str]] = []

    def built(self, app: App) -> App:
        """Note which files there are."""
        files = sorted(file for file in self.folder.iterdir() if file.suffix == ".jac")
        self.built_of.append([file.read_text() for file in files])
        return dataclasses.replace(app, files=(*app.files, self.folder, *files))


@pytest.fixture
def building(jac_toml: Path) -> Building:
    """Sources in a folder beside jac.toml."""
    folder = jac_toml.parent / "code"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.jac").write_text("a")
    return Building(folder)


def test_source_builds_when_sources_stand_still(jac_toml: Path, building: Building) -> None:
    """Of many files that change one after the other, as a pull writes them, not half."""
    clock = Clock()
    source = source_of(jac_toml, clock=clock)
    source.build_with(building)
    source.poll()
    before = len(building.built_of)
    for name in ("one", "two", "three"):
        write(building.folder / f"{name}.jac", "b")
        clock.now += STANDS * 0.9
        assert not source.poll()
    assert before == len(building.built_of)
    clock.now += STANDS
    source.poll()
    assert [["b", "b", "b"]] == building.built_of[before:]


def test_source_builds_what_never_stands_still(jac_toml: Path, building: Building) -> None:
    """An app that writes a log beside itself is deployed all the same."""
    clock = Clock()
    source = source_of(jac_toml, clock=clock)
    source.build_with(building)
    source.poll()
    before, started = len(building.built_of), clock.now
    while len(building.built_of) == before:
        write(building.folder / "one.jac", str(clock.now))
        source.poll()
        clock.now += STANDS / 2
        assert clock.now < started + 2 * LONGEST
    assert clock.now > started + LONGEST


def test_source_waits_for_sources_only(jac_toml: Path, building: Building) -> None:
    """An edit of the configuration counts at once, as without them."""
    source = source_of(jac_toml)
    source.build_with(building)
    source.poll()
    replace(jac_toml, OTHER)
    assert (True, 3) == (source.poll(), replicas(source))
