"""Contexts of the kubeconfig, and the login of one. The only importer of `kubernetes`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, Final

import yaml
from kubernetes import config as kubeconfig
from kubernetes.client import ApiClient, Configuration

from jac_converge.reconciler.errors import NoCluster, Refused

__all__ = ["ApiClient", "Login", "context_name"]

CONNECTIONS: Final = 32
"""Pooled connections: one for each watch, and some for the writes."""


class Login:
    """The login of one pinned context, and its connection pool, for all who speak through it.

    Raises:
        NoCluster: it cannot be used.
        Refused: its login plugin is not there, or fails.
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
        """Give the client, and the header that says who we are.

        Raises:
            Refused: the login plugin gives none any more.
        """
        with self._lock, _logged_in(self._context, self._config_file):
            # A token whose end was announced is renewed in here, by one thread.
            return self._client, _authorization(self._client)

    def renew(self, stale: ApiClient | None = None) -> None:
        """Read the credentials of the context again.

        Args:
            stale: whose login was not accepted; nothing happens if another thread replaced it
                meanwhile, so that a login plugin runs once, not once a thread.

        Raises:
            NoCluster: the context means another server now, or cannot be used any more.
            Refused: its login plugin is not there, or fails.
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
            old, self._client = self._client, client
        # Idle connections of the old login; those in use are closed when they come back.
        old.rest_client.pool_manager.clear()


_ADVICE: Final = "point KUBECONFIG to the kubeconfig of your cluster"

_DEFAULT: Final = "~/.kube/config"

_SEPARATOR: Final = kubeconfig.kube_config.ENV_KUBECONFIG_PATH_SEPARATOR

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
    place = _place(config_file)
    for file, content in _documents(place):
        _check_shape(file, content)
    try:
        contexts, current = kubeconfig.list_kube_config_contexts(config_file=place)
    except _UNUSABLE as exc:
        raise NoCluster(
            "kubeconfig load",
            f"{place}: {_first_line(exc)}",
            _ADVICE,
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
        Refused: its login plugin is not there, or fails.
    """
    # A configuration of our own: the module's global one is shared with the user's code.
    configuration = Configuration()
    place = _place(config_file)
    try:
        with _logged_in(context, config_file):
            kubeconfig.load_kube_config(
                config_file=place, context=context, client_configuration=configuration
            )
    except _UNUSABLE as exc:
        raise NoCluster(
            f"context {context} load", _first_line(exc), "check the kubeconfig and its login"
        ) from exc
    configuration.retries = False
    configuration.connection_pool_maxsize = CONNECTIONS
    return ApiClient(configuration)


def _place(config_file: str | None) -> str:
    """Where the kubeconfig is: one file, or more of them behind each other.

    An empty KUBECONFIG counts as none, as it does to kubectl.
    """
    return config_file or kubeconfig.kube_config.KUBE_CONFIG_DEFAULT_LOCATION or _DEFAULT


def _documents(place: str) -> Iterator[tuple[Path, Any]]:
    """What is in each file of a kubeconfig that is there and not empty."""
    for file in (Path(part).expanduser() for part in place.split(_SEPARATOR) if part):
        try:
            content = yaml.safe_load(file.read_text()) if file.exists() else None
        except (yaml.YAMLError, OSError, ValueError) as exc:
            raise NoCluster("kubeconfig load", f"{file}: {_first_line(exc)}", _ADVICE) from exc
        if content is not None:
            yield file, content


def _check_shape(file: Path, content: Any) -> None:
    """Complain about what the client would stumble over, with the name of the file."""
    if not isinstance(content, dict):
        cause = f"{file}: it has no clusters, users and contexts; is it a kubeconfig?"
        raise NoCluster("kubeconfig load", cause, _ADVICE)
    for section in ("clusters", "contexts", "users"):
        entries = content.get(section) or []
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and "name" in entry for entry in entries
        ):
            cause = f"{file}: {section} is no list of entries with a name"
            raise NoCluster("kubeconfig load", cause, _ADVICE)


@contextmanager
def _logged_in(context: str, config_file: str | None) -> Iterator[None]:
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
        raise _no_login(context, _place(config_file), heard.said[0])


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
    documents = [(file, content) for file, content in _documents(place) if content]
    user = next(
        (
            entry["context"].get("user")
            for _, content in documents
            for entry in content.get("contexts") or ()
            if entry["name"] == context
        ),
        None,
    )
    plugin, file = next(
        (
            ((entry["user"].get("exec") or {}).get("command"), str(file))
            for file, content in documents
            for entry in content.get("users") or ()
            if entry["name"] == user
        ),
        (None, place),
    )
    # Of many lines, as of a traceback, the last one tells.
    cause = said.strip().rpartition("\n")[2]
    why = "is not installed" if cause.startswith("[Errno 2]") else f"failed ({cause})"
    return Refused(
        f"login of context {context}",
        f"plugin {plugin} of user {user} in {file} {why}",
        "install it, log in again, or use another context",
        expired=True,
    )


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0] or type(exc).__name__


def _authorization(client: ApiClient) -> dict[str, str]:
    """Give the header of a login by token, renewed where its announced end has come."""
    setting = client.configuration.auth_settings().get("BearerToken")
    return {"Authorization": setting["value"]} if setting and setting.get("value") else {}


def _server_of(client: ApiClient) -> str:
    return str(client.configuration.host).rstrip("/")
