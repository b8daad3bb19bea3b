"""jac-scale's table read as ours: an app that was written for it deploys without an edit.

`[plugins.scale]` (jac-scale 0.2.x) or `[scale]` (later upstream) stands in for `[converge]` when
that is not there. Keys that mean the same are taken, everything else is named as not used. Pure.
It changes when jac-scale renames a key.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jac_converge.config.layers import KeyPath, Layer

__all__ = ["SAME_MEANING", "Translation", "translate", "translate_storage"]


def _days(value: Any) -> Any:
    return value * 86400 if isinstance(value, int) and not isinstance(value, bool) else value


_SCALING = ("kubernetes", "autoscaling")
_EXPOSURE = ("kubernetes", "exposure")
_DOMAIN = ("kubernetes", "domain")

SAME_MEANING: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("database", "mongodb_uri"): ("database", "mongodb_uri"),
    ("database", "redis_url"): ("database", "redis_url"),
    ("database", "redis_default_ttl"): ("database", "redis_default_ttl"),
    ("jwt", "secret"): ("jwt", "secret"),
    ("jwt", "algorithm"): ("jwt", "algorithm"),
    ("jwt", "exp_delta_days"): ("jwt", "access_token_seconds"),
    ("kubernetes", "app_name"): ("kubernetes", "app_name"),
    ("kubernetes", "namespace"): ("kubernetes", "namespace"),
    ("kubernetes", "docker_image_name"): ("kubernetes", "image"),
    ("kubernetes", "container_port"): ("kubernetes", "container_port"),
    ("kubernetes", "cpu_request"): ("kubernetes", "cpu_request"),
    ("kubernetes", "cpu_limit"): ("kubernetes", "cpu_limit"),
    ("kubernetes", "memory_request"): ("kubernetes", "memory_request"),
    ("kubernetes", "memory_limit"): ("kubernetes", "memory_limit"),
    ("kubernetes", "min_replicas"): (*_SCALING, "min_replicas"),
    ("kubernetes", "max_replicas"): (*_SCALING, "max_replicas"),
    ("kubernetes", "cpu_utilization_target"): (*_SCALING, "cpu_utilization_target"),
    _DOMAIN: (*_EXPOSURE, "host"),
    ("kubernetes", "mongodb_enabled"): ("kubernetes", "mongodb", "enabled"),
    ("kubernetes", "mongodb_storage_size"): ("kubernetes", "mongodb", "storage"),
    ("kubernetes", "redis_enabled"): ("kubernetes", "redis", "enabled"),
    ("server", "host"): ("server", "host"),
    ("server", "port"): ("server", "port"),
    ("server", "docs_enabled"): ("server", "docs_enabled"),
    ("sso", "host"): ("server", "public_url"),
    ("sso", "client_auth_callback_url"): ("server", "return_urls"),
}
"""Key of jac-scale -> key of ours. What it says of one of `_PROVIDERS` has the same name here."""

_PROVIDERS, _OF_PROVIDERS = ("google", "apple", "github"), ("client_id", "client_secret")

_CONVERSIONS: Mapping[tuple[str, ...], Callable[[Any], Any]] = {
    ("jwt", "exp_delta_days"): _days,
    ("sso", "client_auth_callback_url"): lambda url: [url] if url else [],
}

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "autoscaling": {"min_replicas": 1, "max_replicas": 3, "cpu_utilization_target": 50},
    "exposure": {"kind": "ingress"},
}
"""jac-scale's, for an app that gives only some keys of what is a table here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What became of jac-scale's table."""

    layers: tuple[Layer, ...]
    """In the shape of `[converge]`, weakest first."""
    used: tuple[str, ...]
    """Dotted keys of jac-scale that were taken."""
    unused: tuple[str, ...]
    """Dotted keys of jac-scale that mean nothing here."""


def translate(layers: tuple[Layer, ...]) -> Translation:
    """Take the keys that mean the same from jac-scale's table.

    Args:
        layers: the table, from each file that has it, weakest first.
    """
    used: dict[str, None] = {}
    unused: dict[str, None] = {}
    translated = tuple(_translate_layer(layer, used, unused) for layer in layers)
    defaults = {
        key: values
        for key, values in _DEFAULTS.items()
        if any(key in layer.table.get("kubernetes", {}) for layer in translated)
    }
    with_sso = [name for name in _PROVIDERS if any(name in _sso(layer) for layer in translated)]
    if with_sso:  # there, whoever logs in has an account
        table = {"sso": {name: {"registration": "always"} for name in with_sso}}
        translated = (Layer(table=table, origin="jac-scale's defaults"), *translated)
    if defaults:
        layer = Layer(table={"kubernetes": defaults}, origin="jac-scale's defaults")
        translated = (layer, *translated)
    return Translation(layers=translated, used=tuple(used), unused=tuple(unused))


def translate_storage(layer: Layer) -> Layer | None:
    """Take a bucket from the table `[storage]`, which jac-scale reads; None: it names none."""
    given = layer.table
    kind = next((key for key in ("type", "storage_type") if key in given), None)
    if kind is None or given[kind] != "s3":
        return None
    table: dict[str, Any] = {"kind": "s3"}
    renamed: dict[KeyPath, KeyPath] = {("storage", "kind"): (*layer.prefix, kind)}
    for key in ("bucket", "prefix", "region", "endpoint_url"):
        if key in given:
            table[key] = _folder(given[key]) if key == "prefix" else given[key]
            renamed["storage", key] = (*layer.prefix, key)
    return replace(layer, table={"storage": table}, renamed=renamed)


def _folder(prefix: Any) -> Any:
    return f"{prefix.strip('/')}/".lstrip("/") if isinstance(prefix, str) else prefix


def _sso(layer: Layer) -> Mapping[str, Any]:
    found: Mapping[str, Any] = layer.table.get("sso", {})
    return found


def _translate_layer(layer: Layer, used: dict[str, None], unused: dict[str, None]) -> Layer:
    table: dict[str, Any] = {}
    renamed: dict[KeyPath, KeyPath] = {}
    for path, value in _leaves(layer.table):
        ours = path if _is_same(path) else SAME_MEANING.get(path)
        if path == _DOMAIN and value == "":
            ours = None  # "" is its default: no host, and then no Ingress either
        (unused if ours is None else used)[".".join(path)] = None
        if ours is None:
            continue
        target = table
        for key in ours[:-1]:
            target = target.setdefault(key, {})
        target[ours[-1]] = _CONVERSIONS.get(path, _unchanged)(value)
        renamed[ours] = (*layer.prefix, *path)
    return Layer(
        table=table, file=layer.file, text=layer.text, prefix=layer.prefix, renamed=renamed
    )


def _is_same(path: tuple[str, ...]) -> bool:
    match path:
        case ("secrets", _, *_):
            return True
        case ("sso", provider, key):
            return provider in _PROVIDERS and key in _OF_PROVIDERS
    return False


def _unchanged(value: Any) -> Any:
    return value


def _leaves(
    table: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and (*path, key) not in SAME_MEANING and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value
