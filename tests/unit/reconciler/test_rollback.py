"""A roll-back by hand: which release it means, and what is refused."""

import pytest

from jac_converge.reconciler.build import build
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.releases import History, judged
from jac_converge.reconciler.rollback import rolled_back
from jac_converge.reconciler.version import Version, version_of
from tests.unit.reconciler.build.apps import CREDENTIALS, app_with

GOOD = Health(state="current", sentence="")
BAD = Health(state="failed", sentence="ImagePullBackOff")


def version(image: str, **secrets: str) -> Version:
    """Make the version that an app of this image is."""
    app = app_with({"image": image}, secrets=secrets)
    return version_of(build(app, CREDENTIALS), app.name, key="k")


def judge(history: History, image: str, health: Health, *, rollback: bool = False) -> History:
    """Judge the roll-out of an image."""
    return judged(history, version(image), health, at="now", who="ann", rollback=rollback)


def history_of(*healths: Health) -> History:
    """Make releases 1, 2, ... of images shop:1, shop:2, ..."""
    history = History()
    for number, health in enumerate(healths, 1):
        history = judge(history, f"shop:{number}", health)
    return history


def pinned(history: History, wanted: Version) -> int | None:
    """The number of the release that stands in."""
    release = history.pinned(wanted)
    return release.number if release else None


def test_rollback_means_the_healthy_release_before_the_one_in_force() -> None:
    """Failed ones are passed over; from a pinned one it goes further back."""
    history, wanted = history_of(GOOD, GOOD, BAD, GOOD), version("shop:4")
    once = rolled_back(history, wanted, None)
    twice = rolled_back(once, wanted, None)
    assert (2, 1) == (pinned(once, wanted), pinned(twice, wanted))


def test_rollback_restores_the_release_that_is_named() -> None:
    """Until jac.toml says something else; that it failed in between changes nothing."""
    history = rolled_back(history_of(GOOD, GOOD, GOOD), version("shop:3"), 1)
    assert 1 == pinned(history, version("shop:3"))
    assert None is pinned(history, version("shop:4"))
    assert history == judge(history, "shop:3", GOOD)
    assert "release 1 (shop:1) is pinned" in history.told(version("shop:3"))
    assert "--rollback --release 3 ends that" in history.told(version("shop:3"))


def test_rollback_tells_no_end_of_a_pin_that_no_release_gives() -> None:
    """It was pinned before jac.toml's version was ever rolled out."""
    wanted = version("shop:9")
    told = rolled_back(history_of(GOOD, GOOD), wanted, 1).told(wanted)
    assert told.endswith("until jac.toml changes")


def test_rollback_to_what_jac_toml_says_ends_the_pin_and_tries_again() -> None:
    """What failed is on trial, and fails anew if it must."""
    failed = judge(history_of(GOOD), "shop:2", BAD, rollback=True)
    wanted = version("shop:2")
    assert 1 == pinned(failed, wanted)
    again = rolled_back(failed, wanted, 2)
    assert (None, "retried") == (pinned(again, wanted), again.releases[-1].outcome)
    assert 1 == pinned(judge(again, "shop:2", BAD, rollback=True), wanted)
    assert "healthy" == judge(again, "shop:2", GOOD).releases[-1].outcome


def test_failure_after_a_rollback_returns_to_what_was_rolled_back_to() -> None:
    """Not to the release that somebody did not want."""
    history = rolled_back(history_of(GOOD, GOOD), version("shop:2"), None)
    failed = judge(history, "shop:3", BAD, rollback=True)
    assert 1 == pinned(failed, version("shop:3"))


@pytest.mark.parametrize(
    ("history", "number", "wanted", "reason"),
    [
        pytest.param(History(), None, version("shop:1"), "no healthy release", id="no record"),
        pytest.param(History(), 1, version("shop:1"), "but none at all", id="number, no record"),
        pytest.param(history_of(GOOD), None, version("shop:1"), "no healthy", id="only one"),
        pytest.param(history_of(GOOD, GOOD), 7, version("shop:2"), "but 1, 2;", id="no such"),
        pytest.param(history_of(GOOD), 1, version("shop:1"), "in force already", id="in force"),
        pytest.param(
            history_of(BAD, GOOD), 1, version("shop:2"), "not healthy: ImagePull", id="failed"
        ),
        pytest.param(
            judged(History(), version("a", A="1"), GOOD, at="", who="", rollback=True),
            1,
            version("b", A="2"),
            "is in force already",
            id="in force, while jac.toml wants another",
        ),
        pytest.param(
            judge(
                judged(History(), version("a", A="1"), GOOD, at="", who="", rollback=True),
                "b",
                GOOD,
            ),
            1,
            version("b"),
            "because A had another value",
            id="other secrets",
        ),
    ],
)
def test_rollback_refuses_with_the_reason(
    history: History, number: int | None, wanted: Version, reason: str
) -> None:
    """And names the command that lists what there is."""
    with pytest.raises(Invalid, match=reason) as refused:
        rolled_back(history, wanted, number)
    assert "jac scale --history" in str(refused.value)
