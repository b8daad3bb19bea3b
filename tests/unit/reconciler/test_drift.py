"""What differs, and who did it."""

import json

import pytest

from jac_converge.reconciler.drift import (
    KUBECTL_NOTES,
    drift_of,
    owned_fields,
    readable,
    taken_over,
    value_at,
)
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import FIELD_MANAGER, HANDOVER_MANAGER
from tests.unit.reconciler.live_objects import entry, live, obj, ours

REPLICAS = ("f:spec", "f:replicas")
PORT = 'k:{"port":80,"protocol":"TCP"}'
DESIRED = obj("Deployment", spec={"replicas": 2})
EXPECTED = frozenset({REPLICAS})


def test_owned_fields_are_the_leaves_of_our_apply_entry() -> None:
    """Updates under our name, subresources and strangers do not count."""
    it = live(
        DESIRED,
        ours("f:spec/f:replicas", "f:metadata/f:labels/f:a"),
        entry(FIELD_MANAGER, "f:spec/f:paused", operation="Update"),
        {**ours("f:status/f:replicas"), "subresource": "status"},
        entry("kubectl-edit", "f:spec/f:strategy"),
    )
    assert frozenset({REPLICAS, ("f:metadata", "f:labels", "f:a")}) == owned_fields(it)


def test_owned_fields_of_equal_objects_are_kept_once() -> None:
    """A process with many apps keeps thousands of them."""
    first, second = (live(obj(kind), ours("f:data/f:b")) for kind in ("ConfigMap", "Secret"))
    assert owned_fields(first) is owned_fields(second)


def test_drift_is_none_when_nothing_was_touched() -> None:
    """A steady state shows no drift."""
    assert drift_of(live(DESIRED, ours("f:spec/f:replicas")), EXPECTED) is None


def test_drift_names_who_took_a_field_and_when() -> None:
    """The entry that holds the lost field names the rival."""
    it = live(
        DESIRED,
        ours(),
        entry("kubectl-edit", "f:spec/f:replicas", time="2026-01-02T03:04:05Z"),
        entry("kube-controller-manager", "f:status/f:replicas", subresource="status"),
    )
    drift = drift_of(it, EXPECTED)
    assert drift is not None
    assert ((REPLICAS,), ("kubectl-edit",), "2026-01-02T03:04:05Z") == (
        drift.lost,
        drift.rivals,
        drift.at,
    )


def test_drift_sees_a_write_through_the_scale_subresource() -> None:
    """`kubectl scale` takes the replicas we own."""
    drift = drift_of(
        live(DESIRED, ours(), entry("kubectl", "f:spec/f:replicas", subresource="scale")), EXPECTED
    )
    assert drift is not None
    assert ((REPLICAS,), ("kubectl",)) == (drift.lost, drift.rivals)


def test_drift_has_no_rival_when_the_field_was_removed() -> None:
    """Nobody owns a field that is not there."""
    drift = drift_of(live(DESIRED, ours()), EXPECTED)
    assert drift is not None
    assert ((), None) == (drift.rivals, drift.at)


def test_drift_sees_a_sidecar_beside_our_containers() -> None:
    """An addition takes nothing of ours, and is drift all the same."""
    sidecar = 'f:spec/f:template/f:spec/f:containers/k:{"name":"spy"}/f:image'
    drift = drift_of(
        live(DESIRED, ours("f:spec/f:replicas"), entry("kubectl-edit", sidecar)), EXPECTED
    )
    assert drift is not None
    assert ((), (tuple(sidecar.split("/")),)) == (drift.lost, drift.added)


def test_drift_sees_an_apply_under_our_name() -> None:
    """Somebody who applies as us gives us fields that we never sent."""
    drift = drift_of(live(DESIRED, ours("f:spec/f:replicas", "f:spec/f:paused")), EXPECTED)
    assert drift is not None
    assert (("f:spec", "f:paused"),) == drift.added


def applied_by_kubectl(*paths: str, given: object) -> Object:
    """An object that `kubectl apply` made, with its defaults, before we owned anything."""
    made = entry("kubectl-client-side-apply", *paths)
    made["fieldsV1"]["f:metadata"] = {"f:annotations": {f"f:{KUBECTL_NOTES}": {}}}
    return live(DESIRED, made, annotations={KUBECTL_NOTES: json.dumps(given)})


NOTES = ("f:metadata", "f:annotations", f"f:{KUBECTL_NOTES}")
PAUSED = ("f:spec", "f:paused")


@pytest.mark.parametrize(
    ("given", "added"),
    [
        pytest.param({"spec": {}}, (NOTES,), id="a default"),
        pytest.param({"spec": {"paused": True}}, (NOTES, PAUSED), id="what it was given"),
        pytest.param("no object", (NOTES, PAUSED), id="no notes"),
    ],
)
def test_drift_tells_what_kubectl_applied_from_defaults(
    given: object, added: tuple[object, ...]
) -> None:
    """To the server both are the same, for it made the object; its notes tell."""
    it = applied_by_kubectl("f:spec/f:paused", given=given)
    drift = drift_of(it, frozenset())
    assert drift is not None
    assert added == drift.added


def test_taken_over_leaves_nothing_to_kubectl_apply() -> None:
    """Without its notes its defaults would be drift the next time."""
    it = applied_by_kubectl("f:spec/f:paused", given={"spec": {}})
    (left,) = taken_over(it)
    assert (FIELD_MANAGER, frozenset({NOTES})) == (
        left["manager"],
        owned_fields({**it, "metadata": {"managedFields": [left]}}),
    )


ALLOWED = {
    "a controller's annotation": entry("kube-controller-manager", "f:metadata/f:annotations/f:rev"),
    "a replica count that is being handed over": entry(HANDOVER_MANAGER, "f:spec/f:replicas"),
    "a status": entry("kubelet-like", "f:status/f:phase"),
    "a subresource": entry("somebody", "f:spec/f:replicas", subresource="scale"),
    "another tool's annotation": entry("cert-tool", "f:metadata/f:annotations/f:x"),
    "replicas that are the autoscaler's": entry("kubectl-edit", "f:spec/f:replicas"),
}


def _restarted() -> dict[str, object]:
    annotations: dict[str, object] = {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}
    fields = {"f:spec": {"f:template": {"f:metadata": annotations}}}
    return {**entry("kubectl-rollout"), "fieldsV1": fields}


ALLOWED["a rollout restart"] = _restarted()


@pytest.mark.parametrize("foreign", ALLOWED.values(), ids=list(ALLOWED))
def test_drift_leaves_alone_what_a_working_cluster_adds(foreign: dict[str, object]) -> None:
    """What others have a right to is no drift."""
    desired = obj("Deployment", spec={})
    expected = frozenset({("f:spec", "f:paused")})
    assert drift_of(live(desired, ours("f:spec/f:paused"), foreign), expected) is None


def test_drift_sees_a_label_that_a_person_added() -> None:
    """Metadata is left to controllers, not to hands."""
    drift = drift_of(
        live(DESIRED, ours("f:spec/f:replicas"), entry("kubectl-label", "f:metadata/f:labels/f:x")),
        EXPECTED,
    )
    assert drift is not None
    assert (("f:metadata", "f:labels", "f:x"),) == drift.added


def test_taken_over_moves_the_addition_and_nothing_else() -> None:
    """The rival keeps what is not drift; we get the item with its own marker."""
    item = f"f:spec/f:ports/{PORT}"
    rival = entry("kubectl-edit", f"{item}/.", f"{item}/f:port", "f:spec/f:replicas")
    it = live(DESIRED, ours("f:spec/f:type"), rival, entry("kubelet", "f:status/f:x"))
    mine, theirs, kubelet = taken_over(it)
    expected = ours("f:spec/f:type", f"{item}/.", f"{item}/f:port")["fieldsV1"]
    assert expected == mine["fieldsV1"]
    assert entry("kubectl-edit", "f:spec/f:replicas") == theirs
    assert entry("kubelet", "f:status/f:x") == kubelet


def test_taken_over_begins_an_entry_when_we_have_none() -> None:
    """A first contact with an object that somebody else created."""
    it = live(DESIRED, entry("kubectl-create", "f:spec/f:paused"))
    (mine,) = taken_over(it)
    assert (FIELD_MANAGER, "Apply", {"f:spec": {"f:paused": {}}}) == (
        mine["manager"],
        mine["operation"],
        mine["fieldsV1"],
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(REPLICAS, "spec.replicas", id="field"),
        pytest.param(("f:spec", "f:ports", PORT, "f:name"), "spec.ports[80,TCP].name", id="item"),
        pytest.param(("f:spec", "f:ports", PORT, "."), "spec.ports[80,TCP]", id="item itself"),
        pytest.param(("f:metadata", "f:finalizers", 'v:"x"'), 'metadata.finalizers["x"]', id="set"),
    ],
)
def test_readable_spells_paths_as_people_do(path: tuple[str, ...], expected: str) -> None:
    """Paths appear in plans and heal lines."""
    assert expected == readable(path)


PORTS: Object = {"spec": {"ports": [{"port": 80, "name": "http"}, {"port": 81, "protocol": "UDP"}]}}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(("f:spec", "f:ports", PORT, "f:name"), "http", id="default protocol"),
        pytest.param(
            ("f:spec", "f:ports", 'k:{"port":81,"protocol":"UDP"}', "."),
            {"port": 81, "protocol": "UDP"},
            id="item itself",
        ),
        pytest.param(("f:spec", "f:ports", 'k:{"port":82}', "f:name"), None, id="no such item"),
        pytest.param(("f:spec", "f:type"), None, id="no such field"),
        pytest.param(("f:spec", "f:ports", "f:name"), None, id="a list has no fields"),
        pytest.param(("f:spec", PORT), None, id="an object has no items"),
        pytest.param(("f:spec", 'v:"x"'), None, id="a set member"),
    ],
)
def test_value_at_follows_a_path(path: tuple[str, ...], expected: object) -> None:
    """A value is found where it is, and None where it is not."""
    assert expected == value_at(PORTS, path)
