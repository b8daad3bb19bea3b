"""What must hold between keys of `[converge]`, each rule naming the key to change.

`model.py` says what one key may be; a rule here needs two keys, or a list of known-bad values. It
changes when a combination turns out to break an app in the cluster.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jac_converge.config.layers import KeyPath
from jac_converge.config.quantity import cpu_millis, memory_bytes

if TYPE_CHECKING:
    from pydantic import SecretStr

    from jac_converge.config.model import (
        ExposureSettings,
        ImageBuildSettings,
        JwtSettings,
        KubernetesSettings,
        Settings,
        SsoSettings,
        StorageSettings,
        WebhookSettings,
    )

__all__ = ["Broken", "broken_rules", "signing_bytes", "weakness"]

_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""A key shorter than the hash weakens it (RFC 7518, section 3.2)."""

_PUBLISHED_SECRETS = {
    "supersecretkey_for_testing_only!": "jac-scale's published default",
    "supersecretkey": "an early published default of jac-scale",
    "webhook-secret-key": "jac-scale's published default for webhooks",
    "adminpassword123": "jac-scale's published default for Grafana",
    "your-256-bit-secret": "the example secret of jwt.io",
    "a-string-secret-at-least-256-bits-long": "the example secret of jwt.io",
    **dict.fromkeys(
        ("admin", "changeme", "change-me", "default", "jaseci", "password", "secret", "test"),
        "a well-known default",
    ),
}

_EXPOSED_BY = {
    "host": ("ingress", "gateway"),
    "tls_secret": ("ingress",),
    "class_name": ("ingress",),
    "annotations": ("nodeport", "loadbalancer", "ingress", "gateway"),
    "node_port": ("nodeport",),
    "gateway": ("gateway",),
    "gateway_namespace": ("gateway",),
}
"""Key of `[converge.kubernetes.exposure]` -> the kinds with which it means something."""

_APPLE = ("team_id", "key_id", "private_key")

_OF_S3 = ("bucket", "prefix", "endpoint_url", "access_key_id", "direct_urls")

_OURS = {
    "MONGODB_URI": "[converge.database] mongodb_uri",
    "REDIS_URL": "[converge.database] redis_url",
    "JWT_SECRET": "[converge.jwt] secret",
}


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken rule."""

    key: KeyPath
    """Path below `[converge]` of the key to look at first."""
    message: str


def broken_rules(settings: "Settings") -> Iterator[Broken]:
    """Check everything that no single key can say about itself."""
    yield from _jwt(settings.jwt)
    if settings.server.session_cookies and settings.server.public_url is None:
        message = "is not given, and session_cookies needs it; write where browsers reach the app"
        yield Broken(("server", "public_url"), message)
    for name, provider in settings.sso.items():
        if provider.client_id is not None:
            yield from _sso(("sso", name), provider)
    for name, webhook in settings.webhooks.items():
        yield from _webhook(("webhooks", name), webhook)
    if settings.mail.smtp_url is not None:
        for key in ("sender", "verify_url", "reset_url"):
            if getattr(settings.mail, key) is None:
                yield Broken(("mail", key), "is not given, and mails need it")
    yield from _storage(settings.storage)
    yield from _resources(settings.kubernetes)
    yield from _autoscaling(settings.kubernetes)
    yield from _exposure(settings.kubernetes.exposure)
    yield from _image_build(settings.kubernetes.image_build)
    yield from _shelf_on_several_pods(settings)
    yield from _environment(settings.kubernetes.env, settings.secrets)


def signing_bytes(algorithm: str) -> int:
    """How long the secret behind a signing algorithm has to be."""
    return _SECRET_BYTES.get(algorithm, 32)


def weakness(secret: str, *, needs: str, least: int) -> str | None:
    """Why nobody should rely on a secret; None: it will do.

    Args:
        secret: the value.
        needs: what it is for.
        least: bytes.

    >>> weakness("hunter2", needs="a password", least=16)
    'has 7 bytes, a password needs at least 16'
    """
    origin = _PUBLISHED_SECRETS.get(secret.strip().lower())
    if origin is not None:
        return f"is {origin}: anybody can sign with it"
    length = len(secret.encode())
    return f"has {length} bytes, {needs} needs at least {least}" if length < least else None


def _jwt(jwt: "JwtSettings") -> Iterator[Broken]:
    if jwt.algorithm == "RS256" and jwt.private_key is None:
        message = 'is not given, and RS256 needs one; give a PEM, or set algorithm = "EdDSA"'
        yield Broken(("jwt", "private_key"), message)
    if jwt.algorithm in _SECRET_BYTES and jwt.private_key is not None:
        message = f'means nothing with algorithm = "{jwt.algorithm}"; leave it out, or set EdDSA'
        yield Broken(("jwt", "private_key"), message)
    if jwt.secret is not None:
        least = signing_bytes(jwt.algorithm)
        advice = "leave it out and one is minted and kept for you"
        yield from _secret(("jwt", "secret"), jwt.secret, jwt.algorithm, least, advice)
    for number, previous in enumerate(jwt.previous_secrets):
        key, advice = ("jwt", "previous_secrets", number), "leave it out: it ends what it signed"
        yield from _secret(key, previous, "a secret", 32, advice)


def _sso(table: KeyPath, provider: "SsoSettings") -> Iterator[Broken]:
    for key, preset in (("tenant", "microsoft"), *((key, "apple") for key in _APPLE)):
        if getattr(provider, key) is not None and provider.preset != preset:
            message = f'means nothing with preset = "{provider.preset}"; leave it out'
            yield Broken((*table, key), message)
    if provider.preset == "openid" and provider.issuer is None:
        message = "is not given; write the URL of the provider, as its tokens have it in `iss`"
        yield Broken((*table, "issuer"), message)
    if provider.preset == "microsoft" and provider.tenant is None and provider.issuer is None:
        message = 'is not given; write the id of your directory, or "common" for everybody'
        yield Broken((*table, "tenant"), message)
    parts = [key for key in _APPLE if getattr(provider, key) is not None]
    if provider.preset == "apple" and parts and len(parts) < len(_APPLE):
        missing = next(key for key in _APPLE if key not in parts)
        message = f"is not given; the client secret is made of {', '.join(_APPLE)}"
        yield Broken((*table, missing), message)
    if provider.client_secret is not None and parts:
        message = f"is given, and so is {parts[0]}, of which one is made; leave one out"
        yield Broken((*table, "client_secret"), message)
    if provider.preset != "openid" and provider.client_secret is None and not parts:
        message = f"is not given; {provider.preset} knows no clients without one"
        yield Broken((*table, "client_secret"), message)


def _webhook(table: KeyPath, webhook: "WebhookSettings") -> Iterator[Broken]:
    advice = "make one with: openssl rand -hex 32"
    if webhook.secret is not None:
        yield from _secret((*table, "secret"), webhook.secret, "a webhook", 16, advice)
    for number, previous in enumerate(webhook.previous_secrets):
        yield from _secret((*table, "previous_secrets", number), previous, "a webhook", 16, advice)


def _storage(storage: "StorageSettings") -> Iterator[Broken]:
    table = ("storage",)
    if storage.kind == "s3" and storage.bucket is None:
        yield Broken((*table, "bucket"), 'is not given, and kind = "s3" needs it')
    for key in _OF_S3 if storage.kind == "disk" else ():
        if getattr(storage, key):
            message = 'means nothing with kind = "disk"; leave it out, or set kind = "s3"'
            yield Broken((*table, key), message)
    keys = ("access_key_id", "secret_access_key")
    missing = [key for key in keys if getattr(storage, key) is None]
    if len(missing) == 1:
        (given,) = (key for key in keys if key not in missing)
        yield Broken((*table, missing[0]), f"is not given, and {given} is of no use without it")


def _secret(
    key: KeyPath, given: "SecretStr", needs: str, least: int, advice: str
) -> Iterator[Broken]:
    if weak := weakness(given.get_secret_value(), needs=needs, least=least):
        yield Broken(key, f"{weak}; {advice}")


def _resources(kubernetes: "KubernetesSettings") -> Iterator[Broken]:
    for resource, amount in (("cpu", cpu_millis), ("memory", memory_bytes)):
        request = getattr(kubernetes, f"{resource}_request")
        limit = getattr(kubernetes, f"{resource}_limit")
        if request is not None and limit is not None and amount(limit) < amount(request):
            yield Broken(
                ("kubernetes", f"{resource}_limit"),
                f"{limit} is less than {resource}_request {request}; "
                f"raise it to {request} or more, or lower {resource}_request",
            )


def _autoscaling(kubernetes: "KubernetesSettings") -> Iterator[Broken]:
    scaling = kubernetes.autoscaling
    if scaling is None or not scaling.enabled:
        return
    table = ("kubernetes", "autoscaling")
    if scaling.min_replicas > scaling.max_replicas:
        yield Broken(
            (*table, "min_replicas"),
            f"{scaling.min_replicas} is more than max_replicas {scaling.max_replicas}; "
            "lower it, or raise max_replicas",
        )
    targets = {
        "cpu": scaling.cpu_utilization_target,
        "memory": scaling.memory_utilization_target,
    }
    if not any(targets.values()):
        yield Broken(
            table,
            "has no target; set cpu_utilization_target or memory_utilization_target, "
            "or enabled = false",
        )
    for resource, target in targets.items():
        if target is not None and getattr(kubernetes, f"{resource}_request") is None:
            yield Broken(
                (*table, f"{resource}_utilization_target"),
                f"is a percentage of {resource}_request, which is not set; "
                f"set [converge.kubernetes] {resource}_request",
            )


def _most_pods(kubernetes: "KubernetesSettings") -> tuple[KeyPath, int]:
    """Return the most pods that there may be, and the path of the key that says so."""
    scaling = kubernetes.autoscaling
    if scaling is not None and scaling.enabled:
        return ("kubernetes", "autoscaling", "max_replicas"), scaling.max_replicas
    return ("kubernetes", "replicas"), kubernetes.replicas


def _image_build(build: "ImageBuildSettings") -> Iterator[Broken]:
    instead = {"base": "write it in the Dockerfile", "exclude": "write it in a .dockerignore"}
    if build.builder == "builtin":
        return
    for key in sorted(instead.keys() & build.model_fields_set):
        message = f'means nothing with builder = "{build.builder}"; {instead[key]}'
        yield Broken(("kubernetes", "image_build", key), message)


def _shelf_on_several_pods(settings: "Settings") -> Iterator[Broken]:
    if settings.database.mongodb_uri is not None or settings.kubernetes.mongodb.enabled:
        return
    key, pods = _most_pods(settings.kubernetes)
    if pods > 1:
        yield Broken(
            key,
            f"{pods} pods cannot share a shelf, and there is no MongoDB: "
            "[converge.kubernetes.mongodb] enabled is false and [converge.database] mongodb_uri "
            f"is not set; set one of them, or {key[-1]} = 1",
        )


def _exposure(exposure: "ExposureSettings") -> Iterator[Broken]:
    table = ("kubernetes", "exposure")
    for key, kinds in _EXPOSED_BY.items():
        if getattr(exposure, key) and exposure.kind not in kinds:
            fitting = " or ".join(f'"{kind}"' for kind in kinds)
            yield Broken(
                (*table, key),
                f'means nothing with kind = "{exposure.kind}"; '
                f"leave it out, or set kind = {fitting}",
            )
    if exposure.kind == "gateway" and exposure.gateway is None:
        message = 'is not given; kind = "gateway" needs the name of the Gateway to attach to'
        yield Broken((*table, "gateway"), message)
    if exposure.kind == "ingress" and exposure.tls_secret and exposure.host is None:
        message = "is for a host that is not given; set host, which the certificate is for"
        yield Broken((*table, "tls_secret"), message)


def _environment(env: Iterable[str], secrets: Iterable[str]) -> Iterator[Broken]:
    tables: dict[tuple[str, ...], set[str]] = {
        ("kubernetes", "env"): set(env),
        ("secrets",): set(secrets),
    }
    for table, names in tables.items():
        for name in sorted(names & _OURS.keys()):
            yield Broken((*table, name), f"is set by jac-converge; write {_OURS[name]} instead")
    for name in sorted(set.intersection(*tables.values()) - _OURS.keys()):
        yield Broken(
            ("kubernetes", "env", name),
            "is in [converge.secrets] too; keep it in one of the two",
        )
