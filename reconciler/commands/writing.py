"""The right to write, as one command asks for it: who it is, and how it waits for its turn."""

import getpass
import os
import socket
import sys
import time
from threading import Event

from jac_converge.config.load import App
from jac_converge.reconciler.errors import Held
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.lease import DURATION, Lease
from jac_converge.reconciler.retry import retried

__all__ = ["lease_of", "person", "wait_for"]


def person() -> str:
    """Who runs the command, for others to read."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def lease_of(app: App, cluster: KubeCluster, duration: float = DURATION) -> Lease:
    """The app's Lease, to be held by this process.

    Args:
        app: the app.
        cluster: where it is.
        duration: seconds after which others may take it when it was not renewed.
    """
    holder = f"{person()}:{os.getpid()}"
    return Lease(
        app_name=app.name,
        cluster=cluster,
        holder=holder,
        clock=time.monotonic,
        duration=duration,
    )


def wait_for(lease: Lease, *, stop: Event, patience: float) -> None:
    """Take the lease; from a dead holder, once it has expired.

    Args:
        lease: of the app.
        stop: ends the wait, and the tries of a request.
        patience: seconds to keep trying one request while its error is transient.

    Raises:
        ClusterError: the server refuses, or cannot be reached; `Held`: its holder is at work;
            `Conflict`: the wait was ended before that was known.
    """
    told = False
    while not retried(lease.acquire, stop=stop, patience=patience):
        if isinstance(lease.obstacle, Held):
            raise lease.obstacle
        if not told:
            # No error yet: only its next renewal tells a live holder from a dead one.
            waiting = f"{lease.obstacle.cause}; waiting to see whether it lives"
            print(waiting, file=sys.stderr)  # noqa: T201
        told = True
        if stop.wait(1.0):
            raise lease.obstacle
