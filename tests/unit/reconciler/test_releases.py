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
    Version,
    history_from,
    judged,
    record_object,
    version_of,
)
from tests.unit.reconciler.build.apps import APPS, CREDENTIALS, app_with

GOOD = Health(state="current", sentence="1 of 1 replica available")
BAD = Health(state="failed", sentence="pod shop-1: ImagePullBackOff")
UNDER_WAY = Health(state="progressing", sentence="waiting for 1 of 1 replica to be updated")


def version(image: str = "shop:1") -> Version:
    """Make the version that an app of this image is."""
    app = app_with({"image": image})
    return version_of(build(app, CREDENTIALS), app.name, key=CREDENTIALS.jwt_secret)


def after(history: History, image: str, health: Health) -> History:
    """Judge the roll-out of an image."""
    return judged(history, version(image), health, at="2026-01-02T03:04:05Z", who="ann@laptop")


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
    history = judged(History(), seen, BAD, at="now", who="ann@laptop")
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
        history = judged(history, seen, GOOD, at="now", who="ann@laptop")
    assert len(json.dumps(record_object(APPS["defaults"], history))) < 1 << 18
