"""The login of one pinned context, renewed when it ends."""

from threading import Lock
from typing import Final

from jac_converge.reconciler.errors import NoCluster
from jac_converge.reconciler.kubeconfig import place_of
from jac_converge.reconciler.plain_login import Access, plain_access

__all__ = ["Login"]

CONNECTIONS: Final = 32
"""Pooled connections: one for each watch, and some for the writes."""


class Login:
    """The login of one pinned context, and its connection pool, for all who speak through it.

    Raises:
        NoCluster: it cannot be used.
        Refused: its login plugin is not there, or fails.
    """

    def __init__(self, context: str, config_file: str | None) -> None:
        self._context = context
        self._config_file = config_file
        self._lock = Lock()
        self._access = self._log_in()
        self.server = self._access.server
        self.identity: str | None = None
        """UID of the namespace kube-system, once it was read: it is the cluster's own."""

    def current(self) -> tuple[Access, dict[str, str]]:
        """Give the access, and the header that says who we are.

        Raises:
            Refused: the login plugin gives none any more.
        """
        with self._lock:
            return self._access, self._access.header()

    def renew(self, stale: Access | None = None) -> None:
        """Read the credentials of the context again.

        Args:
            stale: whose login was not accepted; nothing happens if another thread replaced it
                meanwhile, so that a login plugin runs once, not once a thread.

        Raises:
            NoCluster: the context means another server now, or cannot be used any more.
            Refused: its login plugin is not there, or fails.
        """
        with self._lock:
            if stale is not None and self._access is not stale:
                return
            access = self._log_in()
            if access.server != self.server:
                raise NoCluster(
                    f"context {self._context} check",
                    f"it now means {access.server}, not {self.server}",
                    "start again if that is meant",
                )
            old, self._access = self._access, access
        # Idle connections of the old login; those in use are closed when they come back.
        old.pool.clear()

    def _log_in(self) -> Access:
        place = place_of(self._config_file)
        if plain := plain_access(self._context, place, CONNECTIONS):
            return plain
        # Here, because it takes as long to load as all the rest.
        from jac_converge.reconciler.client_login import client_access  # noqa: PLC0415

        return client_access(self._context, place, CONNECTIONS)
