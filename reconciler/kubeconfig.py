"""Contexts of the kubeconfig, and the login of one. The only importer of `kubernetes`."""

from threading import Lock
from typing import Final

import yaml
from kubernetes import config as kubeconfig
from kubernetes.client import ApiClient, Configuration

from jac_converge.reconciler.errors import NoCluster

__all__ = ["ApiClient", "Login", "context_name"]

CONNECTIONS: Final = 32
"""Pooled connections: one for each watch, and some for the writes."""


class Login:
    """The login of one pinned context, and its connection pool, for all who speak through it.

    Raises:
        NoCluster: it cannot be used.
    """

    def __init__(
        self, context: str, config_file: str | None, client: ApiClient | None = None
    ) -> None:
        self._context = context
        self._config_file = config_file
        self._lock = Lock()
        self._client = client or _client_of(context, config_file)
        self.server = _server_of(self._client)
        self.identity: str | None = None
        """UID of the namespace kube-system, once it was read: it is the cluster's own."""

    def current(self) -> tuple[ApiClient, dict[str, str]]:
        """Give the client, and the header that says who we are."""
        with self._lock:
            # A token whose end was announced is renewed in here, by one thread.
            return self._client, _authorization(self._client)

    def renew(self, stale: ApiClient | None = None) -> None:
        """Read the credentials of the context again.

        Args:
            stale: whose login was not accepted; nothing happens if another thread replaced it
                meanwhile, so that a login plugin runs once, not once a thread.

        Raises:
            NoCluster: the context means another server now, or cannot be used any more.
        """
        with self._lock:
            if stale is not None and self._client is not stale:
                return
            client = _client_of(self._context, self._config_file)
            if _server_of(client) != self.server:
                raise NoCluster(
                    f"context {self._context} check",
                    f"it now means {client.configuration.host}, not {self.server}",
                    "start again if that is meant",
                )
            self._client = client


_UNUSABLE: Final = (
    kubeconfig.ConfigException,
    yaml.YAMLError,
    OSError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
)
"""What the client raises over a kubeconfig that is not one: it checks little before it uses it."""


def context_name(context: str | None, config_file: str | None) -> str:
    """Resolve the name of a context; None: the current one.

    Raises:
        NoCluster: there is no kubeconfig, or no such context in it.
    """
    place = config_file or kubeconfig.kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    try:
        contexts, current = kubeconfig.list_kube_config_contexts(config_file=config_file)
    except _UNUSABLE as exc:
        raise NoCluster(
            "kubeconfig load",
            f"{place}: {_first_line(exc)}",
            "point KUBECONFIG to the kubeconfig of your cluster",
        ) from exc
    names = [entry["name"] for entry in contexts]
    chosen = context or (current or {}).get("name")
    if chosen not in names:
        raise NoCluster(
            f"context {chosen or '(none)'} lookup",
            f"{place} has no such context",
            "give --context, or [converge.kubernetes] context, as one of: "
            f"{', '.join(sorted(names)) or '(none)'}",
        )
    return str(chosen)


def _client_of(context: str, config_file: str | None) -> ApiClient:
    """Log in as a context says.

    Raises:
        NoCluster: it cannot be used.
    """
    # A configuration of our own: the module's global one is shared with the user's code.
    configuration = Configuration()
    try:
        kubeconfig.load_kube_config(
            config_file=config_file, context=context, client_configuration=configuration
        )
    except _UNUSABLE as exc:
        raise NoCluster(
            f"context {context} load", _first_line(exc), "check the kubeconfig and its login"
        ) from exc
    configuration.retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    return ApiClient(configuration)


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0] or type(exc).__name__


def _authorization(client: ApiClient) -> dict[str, str]:
    """Give the header of a login by token, renewed where its announced end has come."""
    setting = client.configuration.auth_settings().get("BearerToken")
    return {"Authorization": setting["value"]} if setting and setting.get("value") else {}


def _server_of(client: ApiClient) -> str:
    return str(client.configuration.host).rstrip("/")
