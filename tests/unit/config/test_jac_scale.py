"""An app that only has jac-scale's table deploys without an edit."""

import tomllib
from pathlib import Path

import pytest

from jac_converge.config.complaints import tables
from jac_converge.config.jac_scale import SAME_MEANING
from jac_converge.config.load import ConfigError, load_app
from jac_converge.config.suggest import suggest_table
from tests.unit.config.small_app import load

WHOLE = """
[project]
name = "ignored"

[plugins.scale.jwt]
secret = "${SIGNING:-0123456789abcdef0123456789abcdef}"
exp_delta_days = 2

[plugins.scale.database]
mongodb_uri = "${MONGO}"
redis_url = "redis://:hunter2@cache"
redis_default_ttl = 600
shelf_db_path = ".jac/data/anchor_store.db"

[plugins.scale.kubernetes]
app_name = "shop"
namespace = "prod"
docker_image_name = "team/shop:1"
docker_password = "hunter2"
container_port = 9000
cpu_request = "0.5"
max_replicas = 8
mongodb_enabled = false

[plugins.scale.server]
port = 9001

[plugins.scale.secrets]
STRIPE = "hunter2"
MAIL = "${MAIL}"

[plugins.scale.monitoring]
enabled = true
"""
ENVIRON = {"MONGO": "mongodb://db", "MAIL": "m"}


@pytest.mark.parametrize(
    ("domain", "expected"),
    [("shop.example", ("ingress", "shop.example")), ("", ("none", None))],
    ids=["given", "its default"],
)
def test_jac_scale_domain_becomes_an_ingress(
    folder: Path, domain: str, expected: tuple[str, str | None]
) -> None:
    """The host of the Ingress that jac-scale makes; ours is served by the cluster's controller."""
    app = load(folder, f'[plugins.scale.kubernetes]\ndomain = "{domain}"\n')
    exposure = app.settings.kubernetes.exposure
    assert expected == (exposure.kind, exposure.host)


def test_jac_scale_table_is_read_as_ours(folder: Path) -> None:
    """Every key that means the same arrives, converted and interpolated."""
    app = load(folder, WHOLE, **ENVIRON)
    settings, kubernetes = app.settings, app.settings.kubernetes
    assert ("shop", "prod", 9001) == (app.name, app.namespace, settings.server.port)
    assert ("team/shop:1", 9000, "500m", False) == (
        kubernetes.image,
        kubernetes.container_port,
        kubernetes.cpu_request,
        kubernetes.mongodb.enabled,
    )
    assert settings.jwt.access_token_seconds == 2 * 86400
    assert settings.database.mongodb_uri is not None
    assert settings.database.mongodb_uri.get_secret_value() == "mongodb://db"
    assert {"STRIPE": "hunter2", "MAIL": "m"} == {
        name: value.get_secret_value() for name, value in settings.secrets.items()
    }
    assert app.configured


def test_jac_scale_autoscaling_keeps_its_own_defaults(folder: Path) -> None:
    """One of the three keys is enough; the others mean what they meant."""
    scaling = load(folder, WHOLE, **ENVIRON).settings.kubernetes.autoscaling
    assert scaling is not None
    assert (1, 8, 50) == (
        scaling.min_replicas,
        scaling.max_replicas,
        scaling.cpu_utilization_target,
    )


def test_jac_scale_without_autoscaling_keys_has_none(folder: Path) -> None:
    """No key, no autoscaler."""
    app = load(folder, "[plugins.scale.kubernetes]\nnamespace = 'x'")
    assert app.settings.kubernetes.autoscaling is None


def test_jac_scale_notes_say_what_was_used_and_what_not(folder: Path) -> None:
    """Nothing is dropped in silence, and no value is repeated."""
    used, unused, advice = load(folder, WHOLE, **ENVIRON).notes
    assert used == (
        "[plugins.scale] used: jwt.secret, jwt.exp_delta_days, database.mongodb_uri, "
        "database.redis_url, database.redis_default_ttl, kubernetes.app_name, "
        "kubernetes.namespace, kubernetes.docker_image_name, kubernetes.container_port, "
        "kubernetes.cpu_request, kubernetes.max_replicas, kubernetes.mongodb_enabled, "
        "server.port, secrets.STRIPE, secrets.MAIL"
    )
    assert unused == (
        "[plugins.scale] not used: database.shelf_db_path, kubernetes.docker_password, "
        "monitoring.enabled"
    )
    assert advice == "`jac scale --init` prints the same as a [converge] table"


@pytest.mark.parametrize(
    ("toml", "notes"),
    [
        (
            "[converge]\n[plugins.scale.server]\nport = 1\n[scale.server]\nport = 2",
            (
                "[plugins.scale] is ignored: [converge] is there",
                "[scale] is ignored: [converge] is there",
            ),
        ),
        (
            "[plugins.scale]\n[scale.server]\nport = 2",
            (
                "[plugins.scale] used: nothing",
                "`jac scale --init` prints the same as a [converge] table",
                "[scale] is ignored: [plugins.scale] is there",
            ),
        ),
    ],
    ids=["ours first", "then jac-scale's"],
)
def test_jac_scale_table_is_never_merged(folder: Path, toml: str, notes: tuple[str, ...]) -> None:
    """The first table that is there is the only one."""
    app = load(folder, toml)
    assert 8000 == app.settings.server.port
    assert notes == app.notes


def test_later_upstream_table_is_read_too(folder: Path) -> None:
    """`[scale]`, with the keys that are left there."""
    app = load(folder, "[scale.kubernetes]\nnamespace = 'prod'\n[scale.database]\nurl = 'x'")
    assert app.namespace == "prod"
    assert "[scale] not used: database.url" in app.notes


def test_jac_scale_profiles_apply(folder: Path) -> None:
    """Profiles go over `[plugins]` in jaclang, so they do here."""
    (folder / "jac.prod.toml").write_text("[plugins.scale.server]\nport = 5")
    (folder / "jac.toml").write_text("[plugins.scale.server]\nport = 4\nhost = '0.0.0.0'")
    app = load_app(folder / "main.jac", environ={}, profile="prod")
    assert (5, "0.0.0.0") == (app.settings.server.port, app.settings.server.host)  # noqa: S104


def test_jac_scale_table_that_is_no_table_is_not_ours(folder: Path) -> None:
    """Somebody else's `scale = 3` is their business."""
    assert not load(folder, "scale = 3\nplugins.scale = 4").configured


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            "[plugins.scale.jwt]\nsecret = 'supersecretkey_for_testing_only!'",
            ":2: plugins.scale.jwt.secret: is jac-scale's published default",
        ),
        (
            "[plugins.scale.jwt]\nexp_delta_days = 'week'",
            ":2: plugins.scale.jwt.exp_delta_days: must be a whole number",
        ),
        (
            "[plugins.scale.kubernetes]\nmin_replicas = 5",
            ":2: plugins.scale.kubernetes.min_replicas: 5 is more than max_replicas 3",
        ),
        (
            "[scale.kubernetes]\napp_name = 'My App'",
            ":2: scale.kubernetes.app_name: must be a DNS label",
        ),
    ],
)
def test_jac_scale_problems_name_the_keys_as_written(folder: Path, toml: str, said: str) -> None:
    """The user looks for the key in their own file."""
    with pytest.raises(ConfigError) as caught:
        load(folder, toml)
    assert f"{folder}/jac.toml{said}" in str(caught.value)


def test_same_meaning_names_keys_that_exist() -> None:
    """Each key of ours in the table is one of the model."""
    known = {(*path, key) for path, model in tables() for key in model.model_fields}
    assert set() == set(SAME_MEANING.values()) - known


# The table to write instead


def test_suggestion_means_the_same(folder: Path) -> None:
    """Replace jac-scale's table by the suggestion, and nothing changes."""
    hidden = {"STRIPE": "hunter2", "JWT_SECRET": "0123456789abcdef0123456789abcdef"}
    environ = ENVIRON | hidden | {"REDIS_URL": "redis://:hunter2@cache"}
    app = load(folder, WHOLE, **environ)
    suggestion = suggest_table(app)
    again = load(folder, f"[project]\nname = 'ignored'\n{suggestion}", **environ)
    assert app.settings == again.settings
    assert (app.name, app.namespace) == (again.name, again.namespace)


def test_suggestion_shows_no_secret_and_keeps_variables(folder: Path) -> None:
    """What stood in clear becomes a reference; references stay as they are."""
    suggestion = suggest_table(load(folder, WHOLE, **ENVIRON))
    assert "hunter2" not in suggestion
    table = tomllib.loads(suggestion)["converge"]
    assert {"mongodb_uri": "${MONGO}", "redis_url": "${REDIS_URL}", "redis_default_ttl": 600} == (
        table["database"]
    )
    assert {"STRIPE": "${STRIPE}", "MAIL": "${MAIL}"} == table["secrets"]


@pytest.mark.parametrize(
    ("written", "suggested"),
    [
        pytest.param("mongodb://u:${PW}@${H:-x}/d", "mongodb://u:${PW}@${H:-x}/d", id="reference"),
        pytest.param("mongodb://${H:-x}/d", "mongodb://${H:-x}/d", id="no-password"),
        pytest.param("mongodb://u:hunter2@${H:-x}/d", "${MONGODB_URI}", id="clear-password"),
        pytest.param("mongodb://u:${PW:-hunter2}@h/d", "${MONGODB_URI}", id="clear-default"),
        pytest.param("${URI:-mongodb://u:hunter2@h/d}", "${MONGODB_URI}", id="clear-whole-default"),
    ],
)
def test_suggestion_keeps_what_hides_the_password(
    folder: Path, written: str, suggested: str
) -> None:
    """A reference somewhere in the text hides nothing but itself."""
    toml = f"[plugins.scale.database]\nmongodb_uri = '{written}'"
    suggestion = suggest_table(load(folder, toml, PW="hunter2"))
    assert suggested == tomllib.loads(suggestion)["converge"]["database"]["mongodb_uri"]


def test_suggestion_for_a_new_app_is_a_beginning(folder: Path) -> None:
    """Names that are in force, and a line for the image, which nobody can guess."""
    app = load_app(folder / "main.jac", environ={})
    assert suggest_table(app) == (
        "[converge.kubernetes]\n"
        '# image = "registry.example/you/main:1"\n'
        'app_name = "main"\n'
        'namespace = "main"\n'
    )


def test_suggestion_is_refused_where_the_table_is(folder: Path) -> None:
    """Two tables of one name would break the file."""
    app = load(folder, "[converge]")
    with pytest.raises(ConfigError, match=r"has a \[converge\] table already; edit that one"):
        suggest_table(app)


def test_suggestion_needs_a_file_it_can_read(folder: Path) -> None:
    """A file that broke since it was loaded is reported, not overwritten."""
    app = load(folder, "[plugins.scale]")
    (folder / "jac.toml").write_text("[broken")
    with pytest.raises(ConfigError, match="is not TOML"):
        suggest_table(app)


def test_suggestion_quotes_what_needs_quotes(folder: Path) -> None:
    """Odd names and strings survive, lists too."""
    toml = (
        "[plugins.scale.kubernetes]\nnamespace = 'x'\n"
        "[plugins.scale.secrets]\n'A.B' = 'clear'\n"
        "[plugins.scale.server]\nhost = ['${H:-\\u0000\"\\\\}', 'b']"
    )
    good = load(folder, "[plugins.scale]")
    (folder / "jac.toml").write_text(toml)
    table = tomllib.loads(suggest_table(good))["converge"]
    assert {"A.B": "${A_B}"} == table["secrets"]
    assert ['${H:-\\u0000"\\\\}', "b"] == table["server"]["host"]
