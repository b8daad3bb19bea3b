"""The last seen state: what counts as a change, and what our own writes hide."""

import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest

from jac_converge.reconciler.errors import Refused
from jac_converge.reconciler.mirror import READ_OWN_WRITES, Mirror
from jac_converge.reconciler.objects import Object, ObjectKey
from tests.unit.reconciler.live_objects import entry, live, obj, ours

KEY = ObjectKey("Service", "shop")


@dataclass
class Clock:
    """Time as an argument."""

    now: float = 100.0
    mirror: Mirror = field(init=False)

    def __post_init__(self) -> None:
        self.mirror = Mirror(["Service", "Pod"], lambda: self.now)


@pytest.fixture
def clock() -> Clock:
    """A mirror of services and pods, and its clock."""
    return Clock()


def service(version: str, **more: Any) -> Object:
    """A service at a version."""
    return live(obj("Service", **more), ours("f:spec"), resourceVersion=version)


def test_mirror_is_synced_when_every_kind_was_listed(clock: Clock) -> None:
    """Nothing may be planned, let alone deleted, on half a picture."""
    seen = [clock.mirror.synced]
    clock.mirror.replace("Service", [])
    seen.append(clock.mirror.synced)
    clock.mirror.replace("Pod", [])
    seen.append(clock.mirror.synced)
    assert [False, False, True] == seen


def test_mirror_tells_content_from_status(clock: Clock) -> None:
    """A status write must not make a plan; a second look at the same object nothing at all."""
    told = [
        clock.mirror.put(service("1")),
        clock.mirror.put(service("2", status={"loadBalancer": {}})),
        clock.mirror.put(service("3", status={"loadBalancer": {}})),
        clock.mirror.put(service("4", spec={"type": "NodePort"})),
    ]
    assert ["content", "status", "nothing", "content"] == told


def test_mirror_sees_a_change_of_ownership(clock: Clock) -> None:
    """Somebody who writes the same value over ours shows in managedFields alone."""
    clock.mirror.put(service("1"))
    taken = live(obj("Service"), ours(), entry("kubectl-edit", "f:spec"), resourceVersion="2")
    status = entry("kcm", "f:status", subresource="status")
    assert "content" == clock.mirror.put(taken)
    with_status = live(
        obj("Service"), ours(), entry("kubectl-edit", "f:spec"), status, resourceVersion="3"
    )
    assert "nothing" == clock.mirror.put(with_status)


def test_mirror_diffs_out_deletions_from_a_new_list(clock: Clock) -> None:
    """What happened while the watch was away shows as a change."""
    clock.mirror.replace("Service", [service("1")])
    assert ("content", {}) == (clock.mirror.replace("Service", []), clock.mirror.snapshot())


def test_mirror_keeps_other_kinds_when_one_is_listed(clock: Clock) -> None:
    """A list speaks for its own kind only."""
    clock.mirror.put(service("1"))
    clock.mirror.replace("Pod", [])
    assert [KEY] == list(clock.mirror.snapshot())


def test_mirror_drops_what_was_deleted_once(clock: Clock) -> None:
    """The second deletion is no news."""
    clock.mirror.put(service("1"))
    assert ["content", "nothing"] == [clock.mirror.drop(service("2")) for _ in range(2)]


def test_mirror_ignores_the_deletion_of_a_predecessor(clock: Clock) -> None:
    """It may arrive after the answer to the create that followed it."""
    old = service("1")
    clock.mirror.expect(live(obj("Service"), ours(), uid="new", resourceVersion="5"))
    assert ("nothing", [KEY]) == (clock.mirror.drop(old), list(clock.mirror.snapshot()))


def test_mirror_forgets_what_we_deleted_at_once(clock: Clock) -> None:
    """What the watch still sends from before must not be deleted a second time."""
    clock.mirror.put(service("1"))
    clock.mirror.expect(service("2"))
    clock.mirror.forget(service("2"))
    late = [clock.mirror.put(service("2")), clock.mirror.settle(), clock.mirror.drop(service("3"))]
    assert ({}, ["nothing"] * 3) == (clock.mirror.snapshot(), late)


def test_mirror_shows_what_we_deleted_while_finalizers_hold_it(clock: Clock) -> None:
    """It takes its name until it is gone."""
    leaving = service("2")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    clock.mirror.put(service("1"))
    clock.mirror.forget(service("1"))
    assert "content" == clock.mirror.put(leaving)
    assert "content" == clock.mirror.drop(leaving)
    assert {} == clock.mirror.snapshot()


def test_mirror_waits_for_the_end_of_what_the_watch_showed_leaving_first(clock: Clock) -> None:
    """Nobody would tell the end of what was forgotten before."""
    leaving = service("2")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    clock.mirror.put(service("1"))
    clock.mirror.put(leaving)
    clock.mirror.forget(service("1"))
    assert {KEY: leaving} == clock.mirror.snapshot()
    assert ("content", {}) == (clock.mirror.drop(leaving), clock.mirror.snapshot())


def test_mirror_forgets_no_successor(clock: Clock) -> None:
    """Somebody was quicker than our answer."""
    successor = service("9")
    successor["metadata"]["uid"] = "another"
    clock.mirror.put(successor)
    clock.mirror.forget(service("1"))
    assert {KEY: successor} == clock.mirror.snapshot()


def test_mirror_holds_back_what_is_older_than_our_write(clock: Clock) -> None:
    """A plan made on a state before our own write would write again."""
    clock.mirror.put(service("1"))
    clock.mirror.expect(service("3", spec={"type": "ours"}))
    assert "nothing" == clock.mirror.put(service("2", spec={"type": "theirs"}))
    assert {"type": "ours"} == clock.mirror.snapshot()[KEY]["spec"]
    assert "nothing" == clock.mirror.put(service("3", spec={"type": "ours"}))
    assert "content" == clock.mirror.put(service("4", spec={"type": "theirs"}))


def test_mirror_is_not_set_back_when_the_echo_came_first(clock: Clock) -> None:
    """The watch may be faster than the answer, and may bring a foreign write behind it."""
    clock.mirror.put(service("1"))
    clock.mirror.put(service("3", spec={"type": "ours"}))
    clock.mirror.put(service("4", spec={"type": "theirs"}))
    clock.mirror.expect(service("3", spec={"type": "ours"}))
    assert {"type": "theirs"} == clock.mirror.snapshot()[KEY]["spec"]


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param("object", [KEY], id="a newer object"),
        pytest.param("deletion", [], id="a deletion"),
        pytest.param("nothing", [KEY], id="nothing"),
    ],
)
def test_mirror_believes_the_watch_again_when_no_echo_comes(
    clock: Clock, held: str, expected: list[ObjectKey]
) -> None:
    """An echo can be lost in a new list; the truth comes through all the same."""
    clock.mirror.put(service("1"))
    clock.mirror.expect(service("3"))
    if held == "object":
        clock.mirror.put(service("4", spec={"type": "theirs"}))
    if held == "deletion":
        clock.mirror.drop(service("4"))
    before = clock.mirror.settle()
    clock.now += READ_OWN_WRITES
    after = clock.mirror.settle()
    assert ("nothing", "nothing" if held == "nothing" else "content") == (before, after)
    assert expected == list(clock.mirror.snapshot())


def test_mirror_keeps_pods_apart(clock: Clock) -> None:
    """Pods tell reasons; they are never planned."""
    pod = live(obj("Pod"))
    told = [clock.mirror.put(pod), clock.mirror.drop(pod)]
    clock.mirror.put(pod)
    assert (["status", "status"], (pod,), {}) == (
        told,
        clock.mirror.pods(),
        clock.mirror.snapshot(),
    )


def test_mirror_remembers_when_content_changed(clock: Clock) -> None:
    """Heal times are measured from here."""
    clock.mirror.put(service("1"))
    clock.now = 200.0
    clock.mirror.put(service("2", status={"x": 1}))
    assert 100.0 == clock.mirror.noticed_at(KEY)


def test_mirror_does_not_grow_with_objects_that_come_and_go(clock: Clock) -> None:
    """Pods of a CronJob have a new name each time: a loop of weeks must not keep them."""
    clock.mirror.replace("Service", [])
    sizes: list[int] = []
    for count in (600, 600):
        for number in range(count):
            for kind in ("Service", "Pod"):
                it = live(obj(kind, f"{len(sizes)}-{number}"), ours("f:spec"))
                clock.mirror.put(it)
                clock.mirror.drop(it)
        sizes.append(len(pickle.dumps(vars(clock.mirror) | {"_clock": None, "_lock": None})))
    assert sizes[0] == sizes[1]
    pod = ObjectKey("Pod", "1-599")
    assert (None, 100.0) == (
        clock.mirror.noticed_at(pod),
        clock.mirror.noticed_at(ObjectKey("Service", "1-599")),
    )


def test_mirror_forgets_a_block_when_the_kind_is_listed(clock: Clock) -> None:
    """Permission may come later."""
    error = Refused("services list", "forbidden")
    clock.mirror.block("Service", error)
    blocked = clock.mirror.blocked
    clock.mirror.replace("Service", [])
    assert ({"Service": error}, {}) == (blocked, clock.mirror.blocked)
