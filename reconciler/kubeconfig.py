"""Contexts of the kubeconfig, and the login of one. The only importer of `kubernetes`."""

from typing import Final

import yaml
from kubernetes import config as kubeconfig
from kubernetes.client import ApiClient, Configuration

from jac_converge.reconciler.errors import NoCluster

__all__ = ["ApiClient", "authorization", "client_of", "context_name"]

CONNECTIONS: Final = 32
"""Pooled connections: one for each watch, and some for the writes."""


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


def client_of(context: str, config_file: str | None) -> ApiClient:
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


def authorization(client: ApiClient) -> dict[str, str]:
    """Give the header of a login by token, renewed where its announced end has come."""
    setting = client.configuration.auth_settings().get("BearerToken")
    return {"Authorization": setting["value"]} if setting and setting.get("value") else {}
