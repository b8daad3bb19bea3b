"""One writer per app, on a real API server."""

from dataclasses import dataclass
from threading import Event

import pytest

from jac_converge.reconciler.apply import apply_plan
from jac_converge.reconciler.commands.writing import wait_for
from jac_converge.reconciler.errors import Conflict, Held, Missing, Throttled
from jac_converge.reconciler.kube_cluster import KubeCluster, connect
from jac_converge.reconciler.lease import DURATION, Lease, renewal_of
from jac_converge.reconciler.objects import LEASE, Object, kind_named
from jac_converge.reconciler.ownership import selector_of
from jac_converge.reconciler.steps import Create, Plan
from tests.servers.control_plane import ControlPlane


@dataclass
class Clock:
    """Time as an argument."""

    now: float = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> KubeCluster:
    """A namespace of its own."""
    return connect(
        context=None,
        namespace=namespace,
        selector=selector_of("shop"),
        config_file=str(control_plane.kubeconfig),
    )


def lease(cluster: KubeCluster, holder: str, clock: Clock) -> Lease:
    """A lease of the app `shop`."""
    return Lease(app_name="shop", cluster=cluster, holder=holder, clock=clock)


def test_acquire_takes_a_free_lease_and_keeps_others_out(cluster: KubeCluster) -> None:
    """The first one writes, the second one knows who does."""
    clock = Clock()
    ann, bob = lease(cluster, "ann", clock), lease(cluster, "bob", clock)
    assert (True, False) == (ann.acquire(), bob.acquire())
    assert (True, False, "ann") == (ann.held, bob.held, bob.rival)


def test_acquire_renews_what_is_held(cluster: KubeCluster) -> None:
    """A renewed lease is not taken, however long the other one has been looking."""
    clock = Clock()
    ann, bob = lease(cluster, "ann", clock), lease(cluster, "bob", clock)
    for _ in range(3):
        assert (True, False) == (ann.acquire(), bob.acquire())
        clock.now += DURATION * 0.9


def test_acquire_leaves_a_server_alone_as_long_as_it_asks(
    cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever renews comes every ten seconds; what is held then ends as always."""
    clock = Clock()
    ann = lease(cluster, "ann", clock)
    assert ann.acquire()
    asked: list[float] = []

    def turn_away(*_: object) -> Object:
        asked.append(clock.now)
        raise Throttled("Lease/shop-writer apply", "too many requests", 300.0)

    with monkeypatch.context() as patch:
        patch.setattr(KubeCluster, "apply", turn_away)
        for _ in range(30):
            with pytest.raises(Throttled) as told:
                ann.acquire()
            assert told.value.retry_after == 300.0 - clock.now
            clock.now += 10.0
    assert ([0.0], False) == (asked, ann.held)
    assert (True, True) == (ann.acquire(), ann.held)


def test_acquire_takes_a_lease_that_nobody_renewed(cluster: KubeCluster) -> None:
    """Expiry counts from when we saw it unchanged, not from what its clock says."""
    clock = Clock()
    ann, bob = lease(cluster, "ann", clock), lease(cluster, "bob", clock)
    ann.acquire()
    first = bob.acquire()
    clock.now += DURATION
    assert (False, True, False) == (first, bob.acquire(), ann.held)
    assert (False, "bob") == (ann.acquire(), ann.rival)


def test_lease_lasts_as_long_as_its_holder_says(cluster: KubeCluster) -> None:
    """One process that holds many renews each of them less often."""
    clock = Clock()
    ann = Lease(app_name="shop", cluster=cluster, holder="ann", clock=clock, duration=90.0)
    bob = lease(cluster, "bob", clock)
    assert (True, False) == (ann.acquire(), bob.acquire())
    clock.now += 89.0
    assert (True, False) == (ann.held, bob.acquire())
    assert 30.0 == renewal_of(cluster.get(LEASE, ann.name))
    clock.now += 1.0
    assert (True, False) == (bob.acquire(), ann.held)
    assert (False, "bob") == (ann.acquire(), ann.rival)
    clock.now += DURATION
    assert (False, True) == (bob.held, ann.acquire())


def test_lease_is_not_held_after_a_sleep_in_which_a_rival_could_take_it(
    cluster: KubeCluster,
) -> None:
    """The monotonic clock stands still while Linux is suspended; the wall clock does not."""
    clock, wall, bobs = Clock(), Clock(), Clock()
    ann = Lease(app_name="shop", cluster=cluster, holder="ann", clock=clock, wall=wall)
    bob = lease(cluster, "bob", bobs)
    ann.acquire()
    bob.acquire()
    wall.now = bobs.now = DURATION
    assert (True, False) == (bob.acquire(), ann.held)
    assert (False, "bob") == (ann.acquire(), ann.rival)


def test_apply_writes_nothing_once_the_lease_is_lost(cluster: KubeCluster) -> None:
    """Between two steps, too: what was not written is told, and left to who holds it now."""
    clock, wall = Clock(), Clock()
    ann = Lease(app_name="shop", cluster=cluster, holder="ann", clock=clock, wall=wall)
    ann.acquire()

    def lose(_obj: Object) -> None:
        wall.now += DURATION

    names = ("one", "two", "three")
    head = {"apiVersion": "v1", "kind": "ConfigMap"}
    maps = [{**head, "metadata": {"name": f"lost-{name}"}} for name in names]
    outcome = apply_plan(
        Plan(steps=tuple(Create(desired=obj) for obj in maps)),
        cluster,
        expect=lose,
        clock=clock,
        stop=Event(),
        patience=0.0,
        allowed=lambda: ann.held,
    )
    found = [cluster.get(kind_named("ConfigMap"), f"lost-{name}") is not None for name in names]
    assert ([True, False, False], [Conflict]) == (found, [type(error) for error in outcome.errors])


def test_release_lets_the_next_one_in_at_once(cluster: KubeCluster) -> None:
    """A clean end does not make the others wait."""
    clock = Clock()
    ann, bob = lease(cluster, "ann", clock), lease(cluster, "bob", clock)
    ann.acquire()
    ann.release()
    assert (True, False) == (bob.acquire(), ann.held)


def test_release_leaves_a_rivals_lease_alone(cluster: KubeCluster) -> None:
    """Who lost it releases nothing."""
    clock = Clock()
    ann, bob = lease(cluster, "ann", clock), lease(cluster, "bob", clock)
    ann.acquire()
    bob.acquire()
    clock.now += DURATION
    bob.acquire()
    ann.release()
    assert (True, False) == (bob.acquire(), ann.acquire())


def test_acquire_needs_the_namespace(control_plane: ControlPlane, unused_namespace: str) -> None:
    """Before the first deploy there is no place for it."""
    cluster = connect(
        context=None,
        namespace=unused_namespace,
        selector=selector_of("shop"),
        config_file=str(control_plane.kubeconfig),
    )
    with pytest.raises(Missing):
        lease(cluster, "ann", Clock()).acquire()


def test_acquire_tells_a_rival_at_work_from_a_dead_one(cluster: KubeCluster) -> None:
    """Only one that was seen to renew is at work; of another one, waiting may get the lease."""
    clock = Clock()
    ann, bob = lease(cluster, "ann", clock), lease(cluster, "bob", clock)
    ann.acquire()
    bob.acquire()
    unknown = bob.obstacle
    ann.acquire()
    bob.acquire()
    assert (Conflict, Held) == (type(unknown), type(bob.obstacle))
    assert "ann keeps this app converged" in str(bob.obstacle)


def test_acquire_lost_to_nobody_known_is_told_in_a_sentence(
    cluster: KubeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of our writes came too late, and whoever was sooner is gone again."""

    def too_late(*_: object) -> Object:
        raise Conflict("Lease/shop-writer create", "already exists")

    ann = lease(cluster, "ann", Clock())
    monkeypatch.setattr(KubeCluster, "create", too_late)
    assert not ann.acquire()
    assert "another process keeps this app converged" in str(ann.obstacle)


def test_wait_for_ends_when_it_is_told_to(cluster: KubeCluster) -> None:
    """At once, however long the lease of a dead holder still runs."""
    ann, bob = lease(cluster, "ann", Clock()), lease(cluster, "bob", Clock())
    ann.acquire()
    stop = Event()
    stop.set()
    with pytest.raises(Conflict, match="ann keeps this app converged"):
        wait_for(bob, stop=stop, patience=1.0)


def test_acquire_finds_its_own_lease_when_an_answer_was_lost(cluster: KubeCluster) -> None:
    """A renewal that the server made, but could not tell of, is no rival's."""
    clock = Clock()
    ann = lease(cluster, "ann", clock)
    ann.acquire()
    live = cluster.get(LEASE, ann.name)
    assert live is not None
    metadata = {"name": ann.name, "resourceVersion": live["metadata"]["resourceVersion"]}
    spec = {**live["spec"], "renewTime": "2030-01-01T00:00:00.000000Z"}
    cluster.apply({**live, "metadata": metadata, "spec": spec})
    assert (True, None) == (ann.acquire(), ann.rival)
