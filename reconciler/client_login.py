"""The login of a context by the official client: plugins, providers, proxies and all.

The only importer of `kubernetes`, which takes as long to load as all the rest; `plain_login` does
without where it can.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import Final

import yaml
from kubernetes import config as kubeconfig
from kubernetes.client import ApiClient, Configuration

from jac_converge.reconciler.errors import NoCluster, Refused
from jac_converge.reconciler.kubeconfig import documents, entry_of, first_line
from jac_converge.reconciler.plain_login import Access

__all__ = ["client_access"]

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


def client_access(context: str, place: str, connections: int) -> Access:
    """Log in as a context says.

    Raises:
        NoCluster: it cannot be used.
        Refused: its login plugin is not there, or fails.
    """
    # A configuration of our own: the module's global one is shared with the user's code.
    configuration = Configuration()
    try:
        with _logged_in(context, place):
            kubeconfig.load_kube_config(
                config_file=place, context=context, client_configuration=configuration
            )
    except _UNUSABLE as exc:
        raise NoCluster(
            f"context {context} load", first_line(exc), "check the kubeconfig and its login"
        ) from exc
    configuration.retries = False
    configuration.connection_pool_maxsize = connections
    client = ApiClient(configuration)

    def header() -> dict[str, str]:
        with _logged_in(context, place):
            # A token whose end was announced is renewed in here.
            return _authorization(client)

    return Access(
        server=str(configuration.host).rstrip("/"),
        pool=client.rest_client.pool_manager,
        header=header,
    )


@contextmanager
def _logged_in(context: str, place: str) -> Iterator[None]:
    """Raise what the client only logs: it goes on as nobody when a login plugin fails.

    kubernetes 37.0.2: `KubeConfigLoader` catches every error of an exec plugin; drop when fixed.
    """
    heard = _Heard()
    root = logging.getLogger()
    root.addFilter(heard)
    try:
        yield
    finally:
        root.removeFilter(heard)
    if heard.said:
        raise _no_login(context, place, heard.said[0])


class _Heard(logging.Filter):
    """Takes out of the log what the client says about a plugin in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = get_ident()
        self.said: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep it for the one message that is told."""
        if record.thread != self._thread or record.module != "kube_config":
            return True
        self.said.append(record.getMessage())
        return False


def _no_login(context: str, place: str, said: str) -> Refused:
    plugin = user = None
    file: Path | str = place
    with suppress(KeyError, TypeError, AttributeError):  # told as far as it is known
        found = tuple(documents(place))
        user = entry_of(found, "contexts", context)[1]["user"]
        file, what = entry_of(found, "users", user)
        plugin = what["exec"]["command"]
    # Of many lines, as of a traceback, the last one tells.
    cause = said.strip().rpartition("\n")[2]
    why = "is not installed" if cause.startswith("[Errno 2]") else f"failed ({cause})"
    return Refused(
        f"login of context {context}",
        f"plugin {plugin} of user {user} in {file} {why}",
        "install it, log in again, or use another context",
        expired=True,
    )


def _authorization(client: ApiClient) -> dict[str, str]:
    """Give the header of a login by token, renewed where its announced end has come."""
    setting = client.configuration.auth_settings().get("BearerToken")
    return {"Authorization": setting["value"]} if setting and setting.get("value") else {}
