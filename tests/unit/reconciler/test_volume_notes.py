"""What is told of volumes that change by themselves."""

import pytest

from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.volume_growth import volume_note
from tests.unit.reconciler.live_objects import volume


def pending(*conditions: tuple[str, str, str]) -> Object:
    """A claim whose volume has not grown yet."""
    claim = volume("9Gi", "8Gi")
    told = [{"type": name, "status": status, "message": m} for name, status, m in conditions]
    return {**claim, "status": {**claim["status"], "conditions": told}}


GROWS = "PersistentVolumeClaim/data-shop-mongodb-0 grows from 8Gi to 9Gi"
LEAVES = (
    "PersistentVolumeClaim/data-shop-mongodb-0 is being deleted, and its data goes with the next "
    "restart of the pod: save it first"
)


@pytest.mark.parametrize(
    ("claim", "note"),
    [
        (volume("9Gi"), ""),
        ({**volume("9Gi"), "status": {}}, ""),
        (volume("9Gi", "10Gi"), ""),
        (pending(), GROWS),
        (pending(("Resizing", "False", "no")), GROWS),
        (pending(("Resizing", "True", "")), f"{GROWS} (Resizing)"),
        (
            pending(("Resizing", "True", ""), ("FileSystemResizePending", "True", "wait")),
            f"{GROWS} (FileSystemResizePending: wait)",
        ),
        (
            pending(("ControllerResizeError", "True", "too large"), ("Resizing", "True", "")),
            f"{GROWS} (ControllerResizeError: too large)",
        ),
        (
            volume("9Gi", "8Gi", deletionTimestamp="2026-01-02T03:04:05Z"),
            LEAVES,
        ),
    ],
    ids=[
        "grown",
        "unbound",
        "larger than asked",
        "unseen",
        "over",
        "resizing",
        "its node's turn",
        "failed",
        "leaving",
    ],
)
def test_volume_note_tells_how_a_volume_changes(claim: Object, note: str) -> None:
    """The worst first."""
    assert note == volume_note(claim)
