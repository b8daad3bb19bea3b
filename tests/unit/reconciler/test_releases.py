"""The record of the releases: what enters it, what stays in it, and what never does."""

import json
from typing import Literal

import pytest

from jac_converge.reconciler.build import build
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.release_table import history_lines
from jac_converge.reconciler.releases import (
    KEPT,
    History,
    Pin,
    history_from,
    judged,
    obstacle,
    record_object,
)
from jac_converge.reconciler.version import Version, restored, version_of
from tests.unit.reconciler.build.apps import APPS, CREDENTIALS, app_with

GOOD = Health(state="current", sentence="1 of 1 replica available")
BAD = Health(state="failed", sentence="pod shop-1: ImagePullBackOff")
NOW = {"at": "2026-01-02T03:04:05Z", "who": "ann@laptop"}
UNDER_WAY = Health(state="progressing", sentence="waiting for 1 of 1 replica to be updated")


def version(image: str = "shop:1") -> Version:
    """Make the version that an app of this image is."""
    app = app_with({"image": image})
    return version_of(build(app, CREDENTIALS), app.name, key=CREDENTIALS.jwt_secret)


def after(history: History, image: str, health: Health, *, rollback: bool = False) -> History:
    """Judge the roll-out of an image."""
    return judged(history, version(image), health, **NOW, rollback=rollback)


def told(history: History) -> list[tuple[int, str, str]]:
    """What matters about each release."""
    return [(r.number, r.version.image, r.outcome) for r in history.releases]


def test_history_gets_a_release_when_its_outcome_is_known() -> None:
    """Not while it is under way; once, however often it is looked at."""
    assert History() == after(History(), "shop:1", UNDER_WAY)
    once = after(History(), "shop:1", GOOD)
    assert [(1, "shop:1", "healthy")] == told(once)
    assert once == after(once, "shop:1", GOOD)


def test_history_numbers_each_new_version() -> None:
    """Also one that was there before, for it was rolled out anew."""
    history = History()
    for image in ("shop:1", "shop:2", "shop:1"):
        history = after(history, image, GOOD)
    assert [(1, "shop:1", "healthy"), (2, "shop:2", "healthy"), (3, "shop:1", "healthy")] == told(
        history
    )


def test_history_keeps_a_release_healthy_whatever_befalls_it_later() -> None:
    """A node that dies a week later is no failed roll-out."""
    history = after(History(), "shop:1", GOOD)
    assert history == after(history, "shop:1", BAD)


def test_history_corrects_a_release_that_came_up_after_all() -> None:
    """Somebody pushed the missing image: the number stays."""
    failed = after(History(), "shop:1", BAD)
    assert [BAD.sentence] == [r.reason for r in failed.releases]
    healthy = after(failed, "shop:1", GOOD)
    assert ([(1, "shop:1", "healthy")], "") == (told(healthy), healthy.releases[0].reason)


@pytest.mark.parametrize("health", [GOOD, BAD], ids=["healthy ones", "failed ones"])
def test_history_keeps_the_last_ones_and_a_healthy_one(health: Health) -> None:
    """What could be restored is never pushed out by failures."""
    history = after(History(), "shop:0", GOOD)
    for number in range(1, KEPT + 5):
        history = after(history, f"shop:{number}", health)
    numbers = [release.number for release in history.releases]
    first = 6 if health is GOOD else 1
    assert (KEPT, first, KEPT + 5) == (len(numbers), numbers[0], numbers[-1])


@pytest.mark.parametrize("app", APPS.values(), ids=APPS.keys())
def test_record_holds_no_secret_and_reads_back(app: object) -> None:
    """Whatever the app: no value of a Secret, plain or encoded, is in it."""
    assert isinstance(app, type(APPS["defaults"]))
    objects = build(app, CREDENTIALS)
    seen = version_of(objects, app.name, key=CREDENTIALS.jwt_secret)
    history = judged(History(), seen, BAD, **NOW, rollback=True)
    record = record_object(app, history)
    assert (history, record) == (history_from(record), record_object(app, history))
    text = repr(history)
    values = [v for o in objects if o["kind"] == "Secret" for v in o["data"].values()]
    assert values
    assert [] == [value for value in values if value in text]


@pytest.mark.parametrize(
    "spoilt", [{}, {"releases.json.gz": "eA=="}, {"releases.json.gz": "H4sIAAAAAAAAAwEAAP//"}]
)
def test_record_that_is_none_says_so(spoilt: dict[str, str]) -> None:
    """Instead of an error in the middle of a pass."""
    record = record_object(APPS["defaults"], History()) | {"binaryData": spoilt}
    with pytest.raises(Invalid, match="ConfigMap/shop-releases read failed"):
        history_from(record)


type Part = Literal["image", "env", "secret", "replicas"]


@pytest.mark.parametrize(
    ("part", "another"), [("image", True), ("env", True), ("secret", True), ("replicas", False)]
)
def test_version_is_what_makes_the_pods(part: Part, another: bool) -> None:  # noqa: FBT001
    """Image, environment and secrets make another version; the number of pods does not."""
    changed = {
        "image": app_with({"image": "shop:2"}),
        "env": app_with({"env": {"A": "1"}}),
        "secret": app_with(secrets={"A": "1"}),
        "replicas": app_with({"replicas": 7}),
    }[part]
    marks = {
        version_of(build(app, CREDENTIALS), "shop", key="k").mark for app in (app_with(), changed)
    }
    assert (2 if another else 1) == len(marks)


def test_failure_pins_the_last_good_release_until_another_version_is_judged() -> None:
    """The pin is of that very version; it survives a look, and ends with the next outcome."""
    good = after(after(History(), "shop:1", GOOD), "shop:2", GOOD)
    failed = after(good, "shop:3", BAD, rollback=True)
    assert Pin(number=2, instead_of=version("shop:3").mark, by_hand=False) == failed.pin
    assert failed == after(failed, "shop:3", GOOD, rollback=True)
    pinned = failed.pinned(version("shop:3"))
    assert (2, None) == (pinned and pinned.number, failed.pinned(version("shop:4")))
    assert failed == after(failed, "shop:4", UNDER_WAY, rollback=True)
    assert None is after(failed, "shop:4", GOOD, rollback=True).pin
    worse = after(failed, "shop:4", BAD, rollback=True)
    assert Pin(number=2, instead_of=version("shop:4").mark, by_hand=False) == worse.pin


def test_failure_tells_what_failed_why_and_what_was_restored() -> None:
    """One sentence; none while nothing stands in."""
    good = after(History(), "shop:1", GOOD)
    failed = after(good, "shop:2", BAD, rollback=True)
    assert (
        f"release 2 (shop:2) failed: {BAD.sentence}; release 1 (shop:1) was restored, and stays "
        "until jac.toml changes; correct what is wrong there, or try it again by "
        "jac scale --rollback --release 2"
    ) == failed.told(version("shop:2"))
    assert ("", "") == (failed.told(version("shop:3")), good.told(version("shop:1")))


def test_failure_pins_nothing_when_there_is_nothing_good_or_nobody_wants_it() -> None:
    """The first release of all, and `rollback = false`; switched on later, it acts."""
    assert None is after(History(), "shop:1", BAD, rollback=True).pin
    unwanted = after(after(History(), "shop:1", GOOD), "shop:2", BAD)
    assert None is unwanted.pin
    assert unwanted == after(unwanted, "shop:2", BAD)
    wanted = after(unwanted, "shop:2", BAD, rollback=True)
    assert (told(unwanted), 1) == (told(wanted), wanted.pin and wanted.pin.number)


def test_failure_of_a_healthy_release_pins_nothing() -> None:
    """Its database is away, say: the version before would fare no better."""
    good = after(after(History(), "shop:1", GOOD), "shop:2", GOOD)
    assert good == after(good, "shop:2", BAD, rollback=True)


@pytest.mark.parametrize(
    ("then", "now", "missing"),
    [
        pytest.param({"A": "1"}, {"A": "2"}, "A", id="another value"),
        pytest.param({"A": "1", "B": "1"}, {}, "A, B", id="taken away"),
        pytest.param({"A": "1"}, {"A": "1", "B": "1"}, "", id="one more"),
    ],
)
def test_release_is_not_restored_with_other_secrets(
    then: dict[str, str], now: dict[str, str], missing: str
) -> None:
    """It would run with values that it never knew; more of them do no harm."""
    before, after_it = (
        version_of(build(app, CREDENTIALS), app.name, key="k")
        for app in (app_with(secrets=then), app_with({"image": "shop:2"}, secrets=now))
    )
    good = judged(History(), before, GOOD, **NOW, rollback=True)
    failed = judged(good, after_it, BAD, **NOW, rollback=True)
    assert bool(missing) == (failed.pin is None)
    expected = f"because {missing} had another value then" if missing else ""
    assert expected in obstacle(good.releases[0], after_it)


@pytest.mark.parametrize("env", [{}, {"A": "1"}], ids=["no environment", "an environment"])
def test_restored_release_changes_the_template_and_the_environment_only(
    env: dict[str, str],
) -> None:
    """Replicas, Service and the data stores stay as jac.toml says."""
    old = build(app_with({"image": "shop:1", "env": env}), CREDENTIALS)
    new = build(app_with({"image": "shop:2", "env": {"B": "2"}, "replicas": 7}), CREDENTIALS)
    good = judged(History(), version_of(old, "shop", key="k"), GOOD, **NOW, rollback=True).releases[
        0
    ]
    mixed = restored(new, "shop", good.version)
    kinds = [n["kind"] for n, m in zip(new, mixed, strict=True) if n != m]
    assert ["ConfigMap", "Deployment"] == kinds
    assert good.version == version_of(mixed, "shop", key="k")
    counts = [obj["spec"]["replicas"] for obj in mixed if obj["kind"] == "Deployment"]
    assert [7] == counts


def test_history_lines_are_aligned_and_start_with_the_latest() -> None:
    """One line a release, with the reason of a failure."""
    history = after(after(History(), "shop:1", GOOD), "registry.example/shop:2", BAD)
    assert [
        f"2  2026-01-02T03:04:05Z  ann@laptop  registry.example/shop:2  failed: {BAD.sentence}",
        "1  2026-01-02T03:04:05Z  ann@laptop  shop:1                   healthy",
    ] == history_lines(history)
    assert [] == history_lines(History())


def test_record_is_small() -> None:
    """Ten releases of the largest app are far below what a ConfigMap may hold."""
    history = History()
    for number in range(KEPT):
        app = app_with({"image": f"shop:{number}"}, secrets={f"NAME_{i}": "x" for i in range(100)})
        seen = version_of(build(app, CREDENTIALS), app.name, key="k")
        history = judged(history, seen, GOOD, **NOW, rollback=True)
    assert len(json.dumps(record_object(APPS["defaults"], history))) < 1 << 18
