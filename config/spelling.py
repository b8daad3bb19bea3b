"""How single values of jac.toml are spelled: a type for each, that says in words what it must be.

It changes when a value of a new form is added, or the form of one turns out to be another.
"""

import ipaddress
import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from jac_converge.config.ignore import parse_rule

__all__ = [
    "Annotation",
    "AppName",
    "BaseImage",
    "Bucket",
    "EndpointName",
    "EnvName",
    "Given",
    "Host",
    "IgnoreLine",
    "Image",
    "KeyPrefix",
    "Listed",
    "ManifestPattern",
    "MongodbUri",
    "Namespace",
    "Network",
    "Number",
    "ObjectName",
    "Origin",
    "Percent",
    "Port",
    "ProviderName",
    "RedisUrl",
    "Repository",
    "ReturnUrl",
    "RoleName",
    "RootPath",
    "ServiceUrl",
    "SmtpUrl",
    "SourcePattern",
    "Url",
    "Whole",
]


T = TypeVar("T")


def _spelt(pattern: str, must: str) -> Any:
    """Check a string against a pattern, and say in words what it must be."""

    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(f"must be {must}")
        return value

    return AfterValidator(check)


def _schemes(*schemes: str) -> Any:
    """Check how a secret URL begins, without ever showing it."""

    def check(value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"must be a URL that begins with {schemes[0]}://")
        return value

    return AfterValidator(check)


_REDIS = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 (what pydantic understands)
    return value


def _whole(value: object) -> object:
    # To pydantic 2.0 and "2.0" are 2: who writes a point may have meant 2.5.
    if isinstance(value, float) or (isinstance(value, str) and "." in value):
        raise ValueError("must be a whole number, written without a point")
    return _no_bool(value)


# Around the bounds, not among them, so that they stay in the JSON Schema; `true` is 1 to Python.
Number = Annotated[T, BeforeValidator(_no_bool)]
Whole = Annotated[T, BeforeValidator(_whole)]
# TOML has no null, and `${VAR:-}` gives an empty string: both mean "none" where none is possible.
Given = Annotated[T | None, BeforeValidator(lambda value: None if value == "" else value)]
Port = Whole[Annotated[int, Field(ge=1, le=65535)]]
Percent = Whole[Annotated[int, Field(ge=1, le=100)]]
# 40, because the longest name made from it, and a hash behind it, must fit the 63 of a label.
AppName = Annotated[
    str,
    _spelt(
        r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?",
        "a DNS label of at most 40 characters: a-z, 0-9 and -, first a letter, last not a -",
    ),
]
Namespace = Annotated[
    str,
    _spelt(
        r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        "a DNS label of at most 63 characters: a-z, 0-9 and -, neither first nor last a -",
    ),
]
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PORT = r"(:[0-9]+)"
_REGISTRY = (
    rf"({_LABEL}(\.{_LABEL})+{_PORT}?|{_LABEL}{_PORT}|localhost{_PORT}?|\[[a-f0-9:]+\]{_PORT}?)"
)
_PART = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
# Source: the OCI distribution specification, and what counts as a registry in Docker's references:
# a first part with a point or a port, or localhost.
_REPOSITORY = rf"({_REGISTRY}/|(?![^/]*[.:][^/]*/))(?=[^:@]{{1,255}}(:|@|$)){_PART}(/{_PART})*"
_IMAGE = (
    rf"{_REPOSITORY}(:[A-Za-z0-9_][-.A-Za-z0-9_]{{0,127}})?"
    r"(@(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}))?"
)
Image = Annotated[
    str,
    _spelt(
        _IMAGE,
        'an image reference such as "registry.example/team/shop:1.4", in lower case up to the tag',
    ),
]
Repository = Annotated[
    str,
    _spelt(
        _REPOSITORY,
        'where images go, such as "registry.example/team/shop", in lower case, without a tag',
    ),
]
BaseImage = Annotated[
    str,
    _spelt(
        rf"{_IMAGE}|\.{{0,2}}[/\\].+|[A-Za-z]:[/\\].+",
        'an image reference such as "python:3.12-slim", or the path of an OCI layout, such as '
        '"./base.tar"',
    ),
]
EndpointName = Annotated[str, _spelt(r"[A-Za-z][A-Za-z0-9_]*", "the name of a walker or function")]
RoleName = Annotated[
    str,
    _spelt(
        r"(?!guest$)[a-z_][a-z0-9_-]{0,31}",
        'a role in a-z, 0-9, - and _, such as "admin" (nobody with an account is a guest)',
    ),
]
EnvName = Annotated[
    str, _spelt(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable: A-Z, 0-9 and _")
]
Host = Annotated[
    str,
    _spelt(
        r"(?=.{1,253}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        'a host name in lower case, such as "shop.example"',
    ),
]
ObjectName = Annotated[
    str,
    _spelt(
        r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?",
        "the name of an object in the cluster: a-z, 0-9, - and .",
    ),
]
Annotation = Annotated[
    str,
    _spelt(
        r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?",
        'the name of an annotation, such as "cert-manager.io/cluster-issuer"',
    ),
]
ManifestPattern = Annotated[
    str,
    _spelt(
        r"([^*?\[\]]*/)?(\*|\*?[^/*]+(\*[^/*]+)*\*?)\.ya?ml",
        'a path to .yaml files, such as "k8s/*.yaml", with wildcards in the name of the file only',
    ),
]
SourcePattern = Annotated[
    str,
    _spelt(
        r"(?!!)(?!.*//)(?!(.*/)?\.\.?(/|$))/?[^/\\][^\\]*",
        'a name or a path in the folder of jac.toml, such as "*.pem", "data/" or "docs/*.md"',
    ),
]
Origin = Annotated[
    str, _spelt(r"\*|https?://[^/\s]+", 'an origin such as "https://shop.example", or "*"')
]


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError('must be an address or a network, such as "10.0.0.0/8"') from None


def _listed(value: object) -> object:
    """Take a list from an environment variable, which has commas."""
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


Network = Annotated[str, AfterValidator(_network)]
Listed = Annotated[T, BeforeValidator(_listed)]


def _a_rule(text: str) -> str:
    return str(parse_rule(text))


IgnoreLine = Annotated[str, AfterValidator(_a_rule)]
MongodbUri = Annotated[SecretStr, _schemes("mongodb", "mongodb+srv")]
RedisUrl = Annotated[SecretStr, _schemes(*_REDIS)]
SmtpUrl = Annotated[SecretStr, _schemes("smtp", "smtps")]
RootPath = Annotated[str, _spelt(r"|(/[^/\s]+)+", 'empty, or a path such as "/api"')]
ProviderName = Annotated[
    str,
    _spelt(
        r"[a-z0-9][a-z0-9_-]{0,39}",
        "the name of a provider: at most 40 of a-z, 0-9, - and _, the first a letter or digit",
    ),
]
_LOOPBACK = r"http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?"
_SITE = rf"(https://[^\s/?#@\\]+|{_LOOPBACK})"
Url = Annotated[
    str,
    _spelt(
        rf"{_SITE}(/[^\s?#\\]*)?",
        "a URL that begins with https:// (or http://localhost), without ? and #",
    ),
]
ReturnUrl = Annotated[
    str,
    _spelt(
        rf"{_SITE}/[^\s?#\\]*",
        'a URL with a path, such as "https://shop.example/after-login", that begins with https:// '
        "(or http://localhost)",
    ),
]
ServiceUrl = Annotated[
    str,
    _spelt(
        r"https?://[^\s/?#@\\]+/?",
        'the URL of a server, such as "http://minio:9000", without a login and a path',
    ),
]
Bucket = Annotated[
    str,
    _spelt(
        r"[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]",
        "the name of a bucket: 3 to 63 of a-z, 0-9, - and .",
    ),
]
KeyPrefix = Annotated[
    str,
    _spelt(r"|([A-Za-z0-9_][-.A-Za-z0-9_]*/)+", 'empty, or names that end with /, such as "shop/"'),
]
