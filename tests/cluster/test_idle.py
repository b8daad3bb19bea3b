"""What a watch asks of the server while nothing happens: nothing."""

import time
from collections import Counter
from pathlib import Path

from jac_converge.reconciler.converge import WATCHED
from jac_converge.reconciler.lease import RENEWAL
from jac_converge.reconciler.ownership import FIELD_MANAGER
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
image = "example/shop:1"

[converge.kubernetes.redis]
enabled = false

[converge.kubernetes.mongodb]
enabled = false
"""


def test_loop_sends_nothing_but_its_lease_while_nothing_happens(
    audited_control_plane: ControlPlane, tmp_path: Path
) -> None:
    """Over more than one renewal; each watch was opened once."""
    server, file = audited_control_plane, write_app(tmp_path, TOML)
    with running_loop(file, server.kubeconfig) as running:
        wait_until(lambda: bool(running.view.rows))
        before = len(server.requests(FIELD_MANAGER))
        # The time itself is what is tested: the answer to it is an absence.
        time.sleep(RENEWAL + 2)
        sent = server.requests(FIELD_MANAGER)
    asked = Counter((request.verb, request.resource) for request in sent[before:])
    assert {("patch", "leases")} == asked.keys()
    assert asked.total() <= 2
    watches = Counter(request.resource for request in sent if request.verb == "watch")
    # What the cluster does not know cannot be watched.
    assert Counter(kind.plural for kind in WATCHED if not kind.needs) == watches
