"""`[converge]` as a model: what one key may be, and what keys must agree on."""

from typing import Any

import pytest
from pydantic import ValidationError

from jac_converge.config.complaints import tables
from jac_converge.config.model import Settings
from jac_converge.config.rules import Broken, broken_rules

LONG = "k" * 64
NO_MONGODB = {"enabled": False}


def broken(table: dict[str, Any]) -> list[tuple[str, str]]:
    """Validate a table that only breaks rules; give (dotted key, message) of each."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(table)
    (error,) = caught.value.errors()
    assert error["type"] == "rules"
    rules: tuple[Broken, ...] = error["ctx"]["broken"]
    return [(".".join(map(str, rule.key)), rule.message) for rule in rules]


def refusals(table: dict[str, Any]) -> list[tuple[str, str]]:
    """Validate a table with wrong values; give (dotted key, message) of each."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(table)
    return [(".".join(map(str, e["loc"])), e["msg"]) for e in caught.value.errors()]


def test_settings_defaults_break_no_rule() -> None:
    """An empty table is a good one."""
    assert [] == list(broken_rules(Settings()))


def test_settings_are_frozen() -> None:
    """Nobody changes settings behind another's back."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().server.port = 1


def test_settings_hide_secrets_in_repr() -> None:
    """A settings object in a log or a traceback tells no secret."""
    table = {
        "jwt": {"secret": LONG},
        "database": {"mongodb_uri": "mongodb://u:hunter2@db", "redis_url": "redis://:hunter2@r"},
        "secrets": {"KEY": "hunter2"},
    }
    settings = Settings.model_validate(table)
    assert "hunter2" not in repr(settings)
    assert LONG not in repr(settings)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"server": {"prot": 1}}, "server.prot"),
        ({"kubernetes": {"ingress": {}}}, "kubernetes.ingress"),
        ({"servr": {}}, "servr"),
        ({"server": {"port": 0}}, "server.port"),
        ({"server": {"port": True}}, "server.port"),
        ({"server": {"request_timeout": True}}, "server.request_timeout"),
        ({"server": {"request_timeout": float("inf")}}, "server.request_timeout"),
        ({"server": {"workers": "many"}}, "server.workers"),
        ({"server": {"root_path": "api"}}, "server.root_path"),
        ({"server": {"cors_origins": ["shop.example"]}}, "server.cors_origins.0"),
        ({"server": {"trusted_proxies": ["shop.example"]}}, "server.trusted_proxies.0"),
        ({"server": {"trusted_proxies": "10.0.0.0/8, *"}}, "server.trusted_proxies.1"),
        ({"database": {"mongodb_uri": "postgres://x"}}, "database.mongodb_uri"),
        ({"database": {"redis_url": "localhost:6379"}}, "database.redis_url"),
        ({"database": {"shelf_db_path": ""}}, "database.shelf_db_path"),
        ({"jwt": {"algorithm": "none"}}, "jwt.algorithm"),
        ({"kubernetes": {"app_name": "My_App"}}, "kubernetes.app_name"),
        ({"kubernetes": {"app_name": "a" * 41}}, "kubernetes.app_name"),
        ({"kubernetes": {"app_name": "2048"}}, "kubernetes.app_name"),
        ({"kubernetes": {"namespace": "prod_eu"}}, "kubernetes.namespace"),
        ({"kubernetes": {"image": "Shop:1"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "shop:"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "https://registry.example/shop"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "UPPER/x:1"}}, "kubernetes.image"),
        (
            {"kubernetes": {"image_build": {"repository": "registry.example/shop:1"}}},
            "kubernetes.image_build.repository",
        ),
        (
            {"kubernetes": {"image_build": {"base": "Python:3.12"}}},
            "kubernetes.image_build.base",
        ),
        (
            {"kubernetes": {"image_build": {"builder": "kaniko"}}},
            "kubernetes.image_build.builder",
        ),
        ({"kubernetes": {"image": "Registry.example/x:1"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "team_a.example/x:1"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "team//x"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "team/a..b"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "shop-"}}, "kubernetes.image"),
        ({"kubernetes": {"image": f"shop:{'1' * 129}"}}, "kubernetes.image"),
        ({"kubernetes": {"image": "a" * 256}}, "kubernetes.image"),
        ({"kubernetes": {"image": "shop@sha256:abc"}}, "kubernetes.image"),
        ({"kubernetes": {"redis": {"image": "Redis:8"}}}, "kubernetes.redis.image"),
        ({"kubernetes": {"mongodb": {"image": "UPPER/mongo"}}}, "kubernetes.mongodb.image"),
        ({"kubernetes": {"replicas": -1}}, "kubernetes.replicas"),
        ({"kubernetes": {"replicas": 2.5}}, "kubernetes.replicas"),
        ({"kubernetes": {"env": {"1BAD": "x"}}}, "kubernetes.env.1BAD.[key]"),
        ({"kubernetes": {"env": {"GOOD": 1}}}, "kubernetes.env.GOOD"),
        ({"secrets": {"my-key": "x"}}, "secrets.my-key.[key]"),
        ({"watch": {"mode": "fix"}}, "watch.mode"),
        ({"watch": {"resync_seconds": 1}}, "watch.resync_seconds"),
        ({"kubernetes": {"autoscaling": 3}}, "kubernetes.autoscaling"),
        ({"kubernetes": {"exposure": {"kind": "public"}}}, "kubernetes.exposure.kind"),
        ({"kubernetes": {"exposure": {"host": "http://shop.example"}}}, "kubernetes.exposure.host"),
        ({"kubernetes": {"exposure": {"host": "Shop.example"}}}, "kubernetes.exposure.host"),
        ({"kubernetes": {"exposure": {"host": "a." * 127}}}, "kubernetes.exposure.host"),
        ({"kubernetes": {"exposure": {"tls_secret": "a/b"}}}, "kubernetes.exposure.tls_secret"),
        ({"kubernetes": {"exposure": {"node_port": 0}}}, "kubernetes.exposure.node_port"),
        ({"kubernetes": {"exposure": {"annotations": {"a b": "c"}}}},
         "kubernetes.exposure.annotations.a b.[key]"),
        ({"kubernetes": {"autoscaling": {"cpu_utilization_target": 0}}},
         "kubernetes.autoscaling.cpu_utilization_target"),
    ],
)  # fmt: skip
def test_settings_refuse_one_wrong_value(table: dict[str, Any], key: str) -> None:
    """One wrong value is one error, at its key."""
    assert [key] == [refused for refused, _ in refusals(table)]


def whole_numbers() -> list[tuple[str, ...]]:
    """The path of every key that is a whole number."""
    return [
        (*path, name)
        for path, model in tables()
        for name, field in model.model_fields.items()
        if field.annotation is int or "Annotated[int" in str(field.annotation)
    ]


def test_settings_have_whole_numbers() -> None:
    """What the next test is about."""
    assert {("kubernetes", "replicas"), ("server", "port")} <= set(whole_numbers())


@pytest.mark.parametrize("value", [70.0, "70.0"], ids=["number", "string"])
@pytest.mark.parametrize("path", whole_numbers(), ids=".".join)
def test_settings_refuse_a_point_in_every_whole_number(path: tuple[str, ...], value: Any) -> None:
    """2.0 is no way to write 2: the one who wrote it may have meant 2.5."""
    table: dict[str, Any] = {path[-1]: value}
    for name in reversed(path[:-1]):
        table = {name: table}
    expected = (".".join(path), "Value error, must be a whole number, written without a point")
    assert expected in refusals(table)


@pytest.mark.parametrize(
    "image",
    [
        "shop",
        "shop:1.4",
        "team/shop",
        "registry.example:5000/team/shop:v1.4_rc",
        "registry/team/shop",
        "registry:5000/team/shop",
        "[fd00::1]:5000/shop",
        "localhost/shop:A_B",
        "10.0.0.7:5000/shop",
        "team/a.b_c__d---e",
        f"shop@sha512:{'0' * 128}",
        "localhost:5000/shop",
        f"shop@sha256:{'a' * 64}",
        f"registry.example:5000/team/my__shop:1@sha256:{'0' * 64}",
    ],
)
def test_settings_accept_image_references(image: str) -> None:
    """Every form that a container runtime accepts in practice."""
    assert image == Settings.model_validate({"kubernetes": {"image": image}}).kubernetes.image


def test_settings_read_an_empty_string_as_none() -> None:
    """TOML has no null, and `${VAR:-}` gives an empty string."""
    table = {
        "database": {"mongodb_uri": ""},
        "kubernetes": {"cpu_request": "", "memory_limit": "", "image": ""},
    }
    settings = Settings.model_validate(table)
    assert (None, None, None, None) == (
        settings.database.mongodb_uri,
        settings.kubernetes.cpu_request,
        settings.kubernetes.memory_limit,
        settings.kubernetes.image,
    )


@pytest.mark.parametrize(
    ("table", "targets"),
    [
        ({}, (70, None)),
        ({"memory_utilization_target": 80}, (None, 80)),
        ({"memory_utilization_target": 80, "cpu_utilization_target": 60}, (60, 80)),
        ({"cpu_utilization_target": 60}, (60, None)),
    ],
    ids=["no target", "memory alone", "both", "cpu alone"],
)
def test_autoscaling_takes_the_targets_given(
    table: dict[str, Any], targets: tuple[int | None, int | None]
) -> None:
    """The default CPU target is for an app that names no target."""
    scaling = Settings.model_validate({"kubernetes": {"autoscaling": table}}).kubernetes.autoscaling
    assert scaling is not None
    assert targets == (scaling.cpu_utilization_target, scaling.memory_utilization_target)


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        (
            {"kubernetes": {"autoscaling": {"min_replicas": 9, "max_replicas": 3}}},
            "kubernetes.autoscaling.min_replicas",
            "9 is more than max_replicas 3",
        ),
        (
            {"kubernetes": {"autoscaling": {}, "cpu_request": ""}},
            "kubernetes.autoscaling.cpu_utilization_target",
            "percentage of cpu_request, which is not set",
        ),
        (
            {
                "kubernetes": {
                    "autoscaling": {"memory_utilization_target": 80},
                    "memory_request": "",
                }
            },
            "kubernetes.autoscaling.memory_utilization_target",
            "percentage of memory_request, which is not set",
        ),
        (
            {"kubernetes": {"autoscaling": {"cpu_utilization_target": ""}}},
            "kubernetes.autoscaling",
            "has no target",
        ),
        (
            {"kubernetes": {"cpu_request": "2", "cpu_limit": "500m"}},
            "kubernetes.cpu_limit",
            "500m is less than cpu_request 2",
        ),
        (
            {"kubernetes": {"memory_request": "1Gi"}},
            "kubernetes.memory_limit",
            "512Mi is less than memory_request 1Gi",
        ),
        (
            {"kubernetes": {"replicas": 2, "mongodb": NO_MONGODB}},
            "kubernetes.replicas",
            "2 pods cannot share a shelf",
        ),
        (
            {"kubernetes": {"autoscaling": {}, "mongodb": NO_MONGODB}},
            "kubernetes.autoscaling.max_replicas",
            "5 pods cannot share a shelf",
        ),
        (
            {"kubernetes": {"env": {"MONGODB_URI": "x"}}},
            "kubernetes.env.MONGODB_URI",
            "write [converge.database] mongodb_uri instead",
        ),
        (
            {"secrets": {"JWT_SECRET": "x"}},
            "secrets.JWT_SECRET",
            "write [converge.jwt] secret instead",
        ),
        (
            {"secrets": {"KEY": "x"}, "kubernetes": {"env": {"KEY": "x"}}},
            "kubernetes.env.KEY",
            "is in [converge.secrets] too",
        ),
        ({"jwt": {"secret": "k" * 31}}, "jwt.secret", "has 31 bytes, HS256 needs at least 32"),
        (
            {"jwt": {"secret": "k" * 32, "algorithm": "HS512"}},
            "jwt.secret",
            "has 32 bytes, HS512 needs at least 64",
        ),
        (
            {"jwt": {"secret": "supersecretkey_for_testing_only!"}},
            "jwt.secret",
            "is jac-scale's published default",
        ),
        ({"jwt": {"secret": "ChangeMe"}}, "jwt.secret", "is a well-known default"),
        (
            {"jwt": {"secret": LONG, "previous_secrets": [LONG, "ChangeMe"]}},
            "jwt.previous_secrets.1",
            "is a well-known default",
        ),
        ({"jwt": {"algorithm": "RS256"}}, "jwt.private_key", "RS256 needs one"),
        (
            {"jwt": {"private_key": "PEM"}},
            "jwt.private_key",
            'means nothing with algorithm = "HS256"',
        ),
    ],
)
def test_settings_refuse_what_does_not_agree(table: dict[str, Any], key: str, said: str) -> None:
    """One broken rule, at the key to change, with what to write."""
    ((at, message),) = broken(table)
    assert key == at
    assert said in message
    assert ";" in message or "instead" in message


@pytest.mark.parametrize(
    ("exposure", "keys"),
    [
        ({"host": "shop.example"}, ["host"]),
        ({"annotations": {"a": "b"}}, ["annotations"]),
        ({"kind": "nodeport", "host": "shop.example"}, ["host"]),
        ({"kind": "loadbalancer", "node_port": 30080}, ["node_port"]),
        ({"kind": "nodeport", "tls_secret": "a", "class_name": "b"}, ["tls_secret", "class_name"]),
        ({"kind": "ingress", "tls_secret": "shop-tls"}, ["tls_secret"]),
        ({"kind": "ingress", "gateway": "public"}, ["gateway"]),
        ({"kind": "gateway"}, ["gateway"]),
        ({"kind": "gateway", "gateway": "g", "tls_secret": "shop-tls"}, ["tls_secret"]),
        ({"kind": "none", "gateway_namespace": "infra"}, ["gateway_namespace"]),
    ],
)  # fmt: skip
def test_exposure_refuses_keys_that_do_not_go_together(
    exposure: dict[str, Any], keys: list[str]
) -> None:
    """Each at its own key, with what to write instead: a key without effect would be a surprise."""
    found = broken({"kubernetes": {"exposure": exposure}})
    assert [f"kubernetes.exposure.{key}" for key in keys] == [key for key, _ in found]
    assert all(";" in message for _, message in found)


@pytest.mark.parametrize(
    "exposure",
    [
        {"kind": "none", "host": "", "gateway": ""},
        {"kind": "nodeport", "node_port": 30080, "annotations": {"a": "b"}},
        {"kind": "loadbalancer", "annotations": {"example.com/internal": "true"}},
        {"kind": "ingress"},
        {"kind": "ingress", "host": "shop.example", "tls_secret": "tls", "class_name": "nginx"},
        {"kind": "gateway", "gateway": "public", "gateway_namespace": "infra", "host": "a.b"},
    ],
)  # fmt: skip
def test_exposure_accepts_what_goes_together(exposure: dict[str, Any]) -> None:
    """Every kind with all that it may have."""
    assert Settings.model_validate({"kubernetes": {"exposure": exposure}})


@pytest.mark.parametrize(
    ("webhook", "key", "told"),
    [
        ({"secret": "short"}, "secret", "has 5 bytes, a webhook needs at least 16"),
        ({"secret": "webhook-secret-key"}, "secret", "is jac-scale's published default"),
        ({"secret": LONG, "previous_secrets": [LONG, "x"]}, "previous_secrets.1", "has 1 bytes"),
    ],
)
def test_webhook_needs_a_secret_of_its_own(webhook: dict[str, Any], key: str, told: str) -> None:
    """Nobody else knows it."""
    ((place, message),) = broken({"webhooks": {"paid": webhook}})
    assert f"webhooks.paid.{key}" == place
    assert message.startswith(told)


def test_settings_never_print_a_refused_secret() -> None:
    """Neither a short secret nor a published one is in the error's text."""
    for secret in ("hunter2", "supersecretkey_for_testing_only!"):
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate({"jwt": {"secret": secret}})
        assert secret not in str(caught.value)


def test_settings_report_every_broken_rule_at_once() -> None:
    """Three mistakes, three rules."""
    table = {
        "jwt": {"secret": "admin"},
        "kubernetes": {
            "cpu_limit": "50m",
            "autoscaling": {"min_replicas": 6, "max_replicas": 3},
        },
    }
    assert [
        "jwt.secret",
        "kubernetes.cpu_limit",
        "kubernetes.autoscaling.min_replicas",
    ] == [key for key, _ in broken(table)]


@pytest.mark.parametrize(
    "table",
    [
        {"kubernetes": {"replicas": 3, "mongodb": NO_MONGODB}, "database": {"mongodb_uri": "mongodb://db"}},
        {"kubernetes": {"replicas": 1, "mongodb": NO_MONGODB}},
        {"kubernetes": {"mongodb": NO_MONGODB, "autoscaling": {"enabled": False}}},
        {"kubernetes": {"cpu_request": "", "autoscaling": {"enabled": False, "min_replicas": 9}}},
        {"server": {"workers": 4}, "kubernetes": {"mongodb": NO_MONGODB}},
        {"jwt": {"secret": LONG, "algorithm": "HS512"}},
    ],
    ids=[
        "several pods on a MongoDB of their own",
        "one pod on a shelf",
        "autoscaling off, on a shelf",
        "autoscaling off, nothing it needs",
        "several workers on a shelf",
        "a long secret",
    ],
)  # fmt: skip
def test_settings_accept_what_agrees(table: dict[str, Any]) -> None:
    """The neighbours of each rule are not hit by it."""
    assert [] == list(broken_rules(Settings.model_validate(table)))


@pytest.mark.parametrize(
    "base",
    ["python:3.12-slim", "./base.tar", "/srv/layout", "..\\base.tar", "C:\\images\\base.tar", ""],
)
def test_base_is_a_reference_or_a_path(base: str) -> None:
    """A path begins as no reference can; nothing means the default."""
    settings = Settings.model_validate({"kubernetes": {"image_build": {"base": base}}})
    assert (base or None) == settings.kubernetes.image_build.base
