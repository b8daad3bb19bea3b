"""One set of watches for all apps of a namespace, or of a cluster."""

import logging
from collections.abc import Callable
from random import Random

from jac_converge.reconciler.cluster import Cluster
from jac_converge.reconciler.converge import WATCHED
from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.routing import Router
from jac_converge.reconciler.watch import KindWatch, Recovery

__all__ = ["SharedWatches"]

logger = logging.getLogger(__name__)


class SharedWatches:
    """One watch per kind, and the router behind them.

    Args:
        cluster: sees every object of ours in the scope, whatever its app.
        clock: monotonic seconds.
        rng: for jitter.
    """

    def __init__(self, cluster: Cluster, *, clock: Callable[[], float], rng: Random) -> None:
        self.router = Router()
        self._cluster = cluster
        recovery = Recovery()
        self.watches = tuple(
            KindWatch(
                kind=kind,
                cluster=cluster,
                mirror=self.router,
                trigger=self.router,
                recovery=recovery,
                clock=clock,
                rng=rng,
            )
            for kind in WATCHED
        )
        for watch in self.watches:
            watch.start()

    def wake(self) -> None:
        """The machine was asleep: every connection is suspect, and a login may have ended."""
        try:
            self._cluster.reauthenticate()
        except ClusterError as error:
            logger.warning("%s", error)
        for watch in self.watches:
            watch.wake()
        self.router.poke("woke")

    def stop(self) -> None:
        """Begin to end; the threads are daemons."""
        for watch in self.watches:
            watch.stop()
