"""What the ignore rules leave to others, and what they never do."""

from collections.abc import Mapping
from typing import Any

import pytest

from jac_converge.config.ignore import parse_rule
from jac_converge.reconciler.drift import drift_of, owned_fields, taken_over
from jac_converge.reconciler.ignoring import is_left, left_out, remaining, spellings, unmatched
from jac_converge.reconciler.objects import Object
from tests.unit.reconciler.live_objects import entry, live, obj, ours

APP = 'f:spec/f:containers/k:{"name":"app"}'
IMAGE, CPU, MEMORY = f"{APP}/f:image", f"{APP}/f:resources/f:cpu", f"{APP}/f:resources/f:memory"
NAME, COUNT = f"{APP}/f:name", "f:spec/f:replicas"
ALL = (f"{APP}/.", NAME, IMAGE, CPU, MEMORY, COUNT)
CONTAINER = {"name": "app", "image": "shop:1", "resources": {"cpu": "1", "memory": "1Gi"}}
DESIRED = obj("Deployment", spec={"replicas": 2, "containers": [CONTAINER]})
RESOURCES = "Deployment/shop:spec.containers[app].resources"


def without(*paths: str) -> tuple[str, ...]:
    """All that we own but these."""
    return tuple(path for path in ALL if path not in paths)


def container(**fields: Any) -> list[dict[str, Any]]:
    """The container of the app, with these fields beside its name and image."""
    return [{"name": "app", "image": "shop:1", **fields}]


@pytest.mark.parametrize(
    ("rule", "owned", "theirs", "spec"),
    [
        pytest.param(RESOURCES, ALL, (), DESIRED["spec"], id="still ours"),
        pytest.param(
            RESOURCES,
            without(CPU),
            (CPU,),
            {"replicas": 2, "containers": container(resources={"memory": "1Gi"})},
            id="a part changed",
        ),
        pytest.param(
            RESOURCES,
            without(CPU, MEMORY),
            (CPU, MEMORY),
            {"replicas": 2, "containers": container()},
            id="all of it changed",
        ),
        pytest.param(
            RESOURCES,
            without(CPU, MEMORY),
            (),
            {"replicas": 2, "containers": container()},
            id="removed",
        ),
        pytest.param(
            f"{RESOURCES} manager=vpa-*",
            without(CPU, MEMORY),
            (CPU,),
            {"replicas": 2, "containers": container(resources={"memory": "1Gi"})},
            id="changed by the named manager, in part",
        ),
        pytest.param(
            f"{RESOURCES} manager=vpa-*",
            without(CPU, MEMORY),
            (),
            DESIRED["spec"],
            id="removed, which names nobody",
        ),
        pytest.param(
            f"{RESOURCES} manager=kubectl",
            without(CPU),
            (CPU,),
            DESIRED["spec"],
            id="changed by another manager",
        ),
        pytest.param(
            "Deployment/other:spec", without(CPU), (CPU,), DESIRED["spec"], id="another object"
        ),
        pytest.param(
            "*/*:spec.containers[app]", (COUNT,), (), {"replicas": 2}, id="a whole item removed"
        ),
        pytest.param(
            "Deployment/*:spec.replicas",
            without(COUNT, IMAGE),
            (COUNT, IMAGE),
            {"containers": [CONTAINER]},
            id="no more than the rule says",
        ),
    ],
)
def test_left_out_is_what_a_rule_covers_and_others_have(
    rule: str, owned: tuple[str, ...], theirs: tuple[str, ...], spec: Mapping[str, Any]
) -> None:
    """Left out of an apply, a field stays as its owner made it."""
    there = live(DESIRED, ours(*owned), *([entry("vpa-x", *theirs)] if theirs else []))
    assert spec == left_out(DESIRED, there, (parse_rule(rule),))["spec"]


def test_left_out_is_nothing_of_an_object_that_is_not_there() -> None:
    """It is created whole."""
    assert DESIRED == left_out(DESIRED, None, (parse_rule("*/*:spec"),))


def test_left_out_keeps_what_an_object_is_found_by() -> None:
    """A rule about all metadata gives away neither the name nor the labels that select."""
    rest = left_out(DESIRED, live(DESIRED), (parse_rule("*/*:metadata"),))["metadata"]
    assert "shop" == rest["name"]
    assert {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by"} == rest["labels"].keys()


def test_left_out_takes_no_part_of_a_field_that_is_owned_whole() -> None:
    """Half a selector would replace the whole one."""
    service = obj("Service", spec={"selector": {"app": "shop", "tier": "web"}})
    there = live(service, ours(), entry("kubectl", "f:spec/f:selector"))
    assert service == left_out(service, there, (parse_rule("*/*:spec.selector.app"),))
    gone = left_out(service, there, (parse_rule("*/*:spec.selector"),))
    assert "spec" not in gone


def test_remaining_fields_lack_what_was_lost_under_a_rule() -> None:
    """Else it would count as drift."""
    fields = owned_fields(live(DESIRED, ours(*ALL)))
    there = live(DESIRED, ours(*without(CPU, COUNT)), entry("vpa-x", CPU, COUNT))
    after = left_out(DESIRED, there, (parse_rule(RESOURCES),))
    assert {tuple(CPU.split("/"))} == fields - remaining(fields, DESIRED, after)
    assert fields == remaining(fields, DESIRED, DESIRED)


def test_additions_under_a_rule_are_no_drift_and_are_not_taken_over() -> None:
    """What somebody may add stays; what they may not is named, and taken."""
    note, spy = "f:metadata/f:annotations/f:note", "f:spec/f:extra"
    there = live(DESIRED, ours(*ALL), entry("kubectl-edit", note, spy))
    rules = (parse_rule("*/*:metadata.annotations manager=kubectl*"),)

    def left(manager: str, path: tuple[str, ...]) -> bool:
        return is_left(rules, there, manager, path)

    drift = drift_of(there, owned_fields(there), left)
    assert drift is not None
    assert (("f:spec", "f:extra"),) == drift.added
    (_, theirs) = taken_over(there, left)
    assert {"f:metadata": {"f:annotations": {"f:note": {}}}} == theirs["fieldsV1"]


def test_spellings_name_an_item_by_its_keys_and_by_its_name() -> None:
    """Two places of the output spell it in two ways; both may be copied."""
    port = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 1}
    service: Object = obj("Service", spec={"ports": [port]})
    path = ("f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:targetPort")
    expected = ("spec.ports[80,TCP].targetPort", "spec.ports[http].targetPort")
    assert expected == spellings(service, path)


def test_unmatched_rules_speak_of_no_object() -> None:
    """They are typing errors, and told."""
    good, bad = parse_rule("Deployment/s*:spec"), parse_rule("Deployment/shopp:spec")
    assert (bad,) == unmatched((good, bad), (DESIRED,))
