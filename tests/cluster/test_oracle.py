"""The oracle: whatever anybody does to an app's objects, our plan agrees with the server's dry run.

Generated settings are applied, generated foreign edits are made, generated other settings become
desired. An object is written exactly when a dry-run apply of it would change it, or somebody put
something beside our fields; and one apply later there is nothing left to do, for nobody.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from jac_converge.config.load import App
from jac_converge.reconciler.converge import WATCHED, Converger
from jac_converge.reconciler.drift import additions, owned_fields
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.kube_cluster import KubeCluster, connect
from jac_converge.reconciler.mirror import READ_OWN_WRITES, Mirror
from jac_converge.reconciler.objects import Object, key_of, kind_named
from jac_converge.reconciler.ownership import FIELD_MANAGER, MANAGED_BY_LABEL, selector_of
from jac_converge.reconciler.snapshot import Policy
from jac_converge.reconciler.steps import Plan, Update
from tests.cluster.any_edits import POSSIBLE, Edit, edits, rounds
from tests.cluster.foreign_edits import path_of
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane
from tests.unit.reconciler.build.apps import app_with

EXAMPLES = int(os.environ.get("JAC_CONVERGE_ORACLE_PAIRS", "40"))


# The apps -----------------------------------------------------------------------------------------

AUTOSCALING = st.fixed_dictionaries(
    {
        "enabled": st.booleans(),
        "min_replicas": st.integers(1, 3),
        "max_replicas": st.integers(3, 5),
        "cpu_utilization_target": st.sampled_from([50, 80]),
    },
    optional={"memory_utilization_target": st.sampled_from([60, 90])},
)
KUBERNETES = st.fixed_dictionaries(
    {
        "autoscaling": AUTOSCALING,
        "replicas": st.integers(1, 3),
        "redis": st.fixed_dictionaries({"enabled": st.booleans()}),
    },
    optional={
        "container_port": st.sampled_from([8000, 9000]),
        "cpu_limit": st.sampled_from(["1", "2"]),
        "env": st.dictionaries(st.sampled_from(["ONE", "TWO"]), st.sampled_from(["1", "2"])),
        "image": st.sampled_from(["example/shop:1", "example/shop:2"]),
        "network_policies": st.booleans(),
        "exposure": st.sampled_from(
            [
                {"kind": "nodeport"},
                {"kind": "loadbalancer", "annotations": {"example.com/internal": "true"}},
                {"kind": "ingress", "host": "shop.example", "annotations": {"a": "1"}},
                {"kind": "ingress", "class_name": "nginx"},
            ]
        ),
    },
)
TABLES = st.fixed_dictionaries(
    {"kubernetes": KUBERNETES},
    optional={
        "secrets": st.dictionaries(st.sampled_from(["STRIPE", "MAIL"]), st.sampled_from("xy")),
        "jwt": st.just({"secret": "a-secret-that-was-given-by-the-user"}),
    },
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What is applied, and what is desired later: half the time the same."""
    first = draw(TABLES)
    return first, draw(st.just(first) | TABLES)


# The oracle ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Clock:
    """Time as an argument, in seconds."""

    now: float = 0.0

    def read(self) -> float:
        """Tell the time."""
        return self.now


@dataclass(frozen=True, slots=True)
class Place:
    """One namespace of the cluster, as an admin and as our client see it."""

    api: Api
    cluster: KubeCluster
    namespace: str
    clock: Clock

    def converger(self) -> Converger:
        """A process that has just started."""
        mirror = Mirror([kind.name for kind in WATCHED], self.clock.read)
        return Converger(
            cluster=self.cluster, mirror=mirror, clock=self.clock.read, stop=Event(), patience=5.0
        )

    def app(self, tables: Mapping[str, Any]) -> App:
        """An app of that name, in this namespace."""
        kubernetes = {"mongodb": {"enabled": False}, **tables["kubernetes"]}
        rest = {name: table for name, table in tables.items() if name != "kubernetes"}
        uri = {"mongodb_uri": "mongodb://mongo.example/shop"}
        app = app_with(kubernetes, **rest, database=uri)
        return replace(app, namespace=self.namespace)

    def live(self, obj: Object) -> Object | None:
        """An object as it is now."""
        return self.cluster.get(kind_named(obj["kind"]), obj["metadata"]["name"])

    def would_write(self, desired: tuple[Object, ...]) -> Iterator[str]:
        """Which objects are not as desired, by the server's own word; no plan is asked."""
        for obj in desired:
            live = self.live(obj)
            if live and obj["kind"] == "Namespace" and is_unclaimed(live):
                continue  # somebody else's, and used as it is
            if live is None or self.differs(obj, live):
                yield str(key_of(obj))

    def unclaimed(self, desired: tuple[Object, ...]) -> Iterator[str]:
        """Which objects were stripped of every sign that they are ours."""
        for obj in desired:
            live = self.live(obj)
            if live and obj["kind"] != "Namespace" and is_unclaimed(live):
                yield str(key_of(obj))

    def differs(self, obj: Object, live: Object) -> bool:
        """Whether an apply would change what is there, or somebody put something beside it."""
        try:
            answer = self.cluster.apply(obj, dry_run=True)
        except Invalid:
            # Such as two ports of one name, when the number of ours was changed.
            return True
        ours = owned_fields(answer)
        return answer != live or any(set(paths) - ours for _, paths in additions(live))

    def mark_stores_ready(self) -> None:
        """No controller runs here: say for it that the stores are up."""
        for found in self.api.get(path_of("StatefulSet", self.namespace))["items"]:
            path = path_of("StatefulSet", self.namespace, found["metadata"]["name"])
            count = found["spec"]["replicas"]
            status = {
                "observedGeneration": found["metadata"]["generation"],
                "replicas": count,
                "readyReplicas": count,
            }
            self.api.patch(
                f"{path}/status?fieldManager=kube-controller-manager", {"status": status}
            )


def is_unclaimed(live: Object) -> bool:
    """Whether neither label nor field manager says that it is ours."""
    labels = live["metadata"].get("labels") or {}
    entries = live["metadata"].get("managedFields") or ()
    applied = any(entry["manager"] == FIELD_MANAGER for entry in entries)
    return labels.get(MANAGED_BY_LABEL) != FIELD_MANAGER and not applied


def planned(place: Place, converger: Converger, app: App, *, adopt: bool = False) -> Plan:
    """Look, and decide."""
    # No watch runs here, so no echo of our own writes comes to wait for.
    place.clock.now += READ_OWN_WRITES
    converger.mirror.settle()
    converger.read()
    return converger.plan(app, Policy(adopt=adopt))


def to_write(plan: Plan) -> list[str]:
    """Desired objects that the plan brings about, or would if it might; without what it prunes."""
    steps = (*plan.writes, *plan.holds, *plan.refusals)
    return sorted(str(step.key) for step in steps if step.verb != "delete")


def refused(plan: Plan) -> list[str]:
    """Objects that a person has to decide about."""
    return sorted(str(step.key) for step in plan.refusals)


def converge(place: Place, converger: Converger, app: App) -> None:
    """Plan and apply once; what is nobody's any more is adopted.

    Once more where the app had to wait for its stores, or where nothing was known of who owns what:
    the first apply then makes the server write down that somebody unknown does.
    """
    for _ in range(2):
        plan = planned(place, converger, app, adopt=True)
        outcome = converger.apply(plan)
        assert () == (*outcome.errors, *plan.refusals)
        place.mark_stores_ready()
        forgotten = any(
            isinstance(step, Update) and not step.live["metadata"].get("managedFields")
            for step in plan.writes
        )
        if not (plan.holds or forgotten):
            break


@pytest.fixture(scope="module")
def place_in(control_plane: ControlPlane) -> Callable[[], Place]:
    """Give a place of its own to each example."""

    def make() -> Place:
        namespace = f"oracle-{time.monotonic_ns()}"
        cluster = connect(
            context=None,
            namespace=namespace,
            selector=selector_of("shop"),
            config_file=str(control_plane.kubeconfig),
        )
        return Place(control_plane.api, cluster, namespace, Clock())

    return make


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    # The notes name each edit; to shrink on a real server takes minutes.
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(pair=pairs(), foreign=st.lists(edits(), max_size=8), by_the_old_process=st.booleans())
def test_plan_writes_exactly_what_the_server_would_change(
    place_in: Callable[[], Place],
    pair: tuple[Mapping[str, Any], Mapping[str, Any]],
    foreign: list[Edit],
    *,
    by_the_old_process: bool,
) -> None:
    """By ownership alone or by comparison, our plan and the server's dry run are of one mind."""
    place = place_in()
    before, after = (place.app(tables) for tables in pair)
    warm, fresh = place.converger(), place.converger()
    converge(place, warm, before)

    for edit in foreign:
        done = edit.make(place.api, place.namespace)
        note(f"{edit.manager}: {edit.kind}{edit.suffix} {edit.title}{'' if done else ' (refused)'}")
        event(f"{edit.kind} {edit.title}: {'done' if done else 'refused'}")

    for process in (warm, fresh):
        plan = planned(place, process, after)
        assert sorted(place.would_write(process.desired)) == to_write(plan)
        assert sorted(place.unclaimed(process.desired)) == refused(plan)

    process = warm if by_the_old_process else fresh
    converge(place, process, after)
    assert [] == sorted(place.would_write(process.desired))
    for again in (process, place.converger()):
        assert () == planned(place, again, after).writes


@pytest.mark.parametrize("title", ["change a key", "remove a key"])
def test_plan_heals_what_was_written_under_our_name_before_it_began(
    place_in: Callable[[], Place], title: str
) -> None:
    """A new process puts a field of ours back; it once took it out, as somebody's addition."""
    place = place_in()
    app, began = place.app({"kubernetes": {"redis": {"enabled": False}}}), place.converger()
    converge(place, place.converger(), app)
    send = POSSIBLE["Secret", "-secrets"][title]
    assert Edit(title, "Secret", "-secrets", FIELD_MANAGER, send).make(place.api, place.namespace)

    converge(place, began, app)
    assert [] == sorted(place.would_write(began.desired))


EVERYTHING: Mapping[str, Any] = {
    "kubernetes": {
        "autoscaling": {"min_replicas": 2, "max_replicas": 4},
        "env": {"ONE": "1", "TWO": "2"},
        "exposure": {"kind": "ingress", "host": "shop.example"},
    }
}


@pytest.mark.parametrize(
    "foreign",
    tuple(rounds()),
    ids=lambda foreign: ", ".join(dict.fromkeys(e.title for e in foreign)),
)
def test_plan_heals_every_edit(place_in: Callable[[], Place], foreign: tuple[Edit, ...]) -> None:
    """Each edit of each object, so that none depends on what is generated."""
    place = place_in()
    app, process = place.app(EVERYTHING), place.converger()
    converge(place, process, app)

    assert {True} == {edit.make(place.api, place.namespace) for edit in foreign}

    for one in (process, place.converger()):
        assert sorted(place.would_write(process.desired)) == to_write(planned(place, one, app))
    converge(place, process, app)
    assert [] == sorted(place.would_write(process.desired))
    assert () == planned(place, process, app).writes


@pytest.mark.parametrize("by_the_old_process", [True, False])
def test_plan_heals_a_port_of_which_nobody_knows_whose_it_is(
    place_in: Callable[[], Place], *, by_the_old_process: bool
) -> None:
    """Ours under another number; applied beside it, ours would be refused for its name."""
    place = place_in()
    app, process = place.app(EVERYTHING), place.converger()
    converge(place, process, app)
    for title in ("port number", "forget who owns what"):
        edit = Edit(title, "Service", "-redis", "somebody", POSSIBLE["Service", "-redis"][title])
        assert edit.make(place.api, place.namespace)

    process = process if by_the_old_process else place.converger()
    converge(place, process, app)
    assert [] == sorted(place.would_write(process.desired))
    assert () == planned(place, process, app).writes


def test_plan_heals_a_changed_port_of_a_container_of_which_nobody_knows_whose_it_is(
    place_in: Callable[[], Place],
) -> None:
    """All of the Deployment is then beside what is ours, and none of it may be taken out."""
    place = place_in()
    before, after = (place.app({"kubernetes": {"container_port": it}}) for it in (8000, 9000))
    process = place.converger()
    converge(place, process, before)
    send = POSSIBLE["Deployment", ""]["forget who owns what"]
    edit = Edit("forget who owns what", "Deployment", "", "kubectl", send)
    assert edit.make(place.api, place.namespace)

    converge(place, process, after)
    assert [] == sorted(place.would_write(process.desired))
