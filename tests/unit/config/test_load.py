"""`load_app` on real files: what it finds, who wins, and what it says when something is wrong."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jac_converge.config.load import App, ConfigError, Problem, load_app

type Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write `shop.jac` and the given files into the current folder; give the path of shop.jac."""
    monkeypatch.chdir(tmp_path)

    def write(toml: str | bytes | None = None, **others: str) -> Path:
        app = tmp_path / "shop.jac"
        app.write_text("")
        files: dict[str, str | bytes] = {f"jac.{name}.toml": text for name, text in others.items()}
        if toml is not None:
            files["jac.toml"] = toml
        for name, text in files.items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return app

    return write


def load(app: Path, environ: Mapping[str, str] | None = None, **rest: Any) -> App:
    """Load with an empty environment, unless one is given."""
    return load_app(app, environ=environ or {}, **rest)


def problems(app: Path, environ: Mapping[str, str] | None = None, **rest: Any) -> list[str]:
    """Load something wrong; give the lines that the user sees."""
    with pytest.raises(ConfigError) as caught:
        load(app, environ, **rest)
    assert "\n".join(map(str, caught.value.problems)) == str(caught.value)
    return str(caught.value).splitlines()


# Files


def test_load_app_needs_no_jac_toml(write: Write) -> None:
    """Without a jac.toml: the defaults, and the name of the file."""
    app = load(write())
    assert ("shop", "shop", 1) == (app.name, app.namespace, app.settings.kubernetes.replicas)
    assert app.file.parent / "jac.toml" == app.files[0]
    assert app.file.parent == app.root
    assert not app.configured


@pytest.mark.parametrize(
    ("toml", "configured"),
    [
        ("", False),
        ("# nothing\n[project]\nname = 'x'", False),
        ("[converge]", True),
        ("[plugins.scale]", True),
        ("[scale.kubernetes]", True),
    ],
    ids=["empty", "others' tables only", "ours", "jac-scale's", "later upstream's"],
)
def test_load_app_tells_whether_it_is_configured(
    write: Write, toml: str, *, configured: bool
) -> None:
    """An emptied jac.toml must not look like a wish to have nothing."""
    assert configured is load(write(toml)).configured


def test_load_app_finds_jac_toml_in_a_folder_above(write: Write) -> None:
    """The nearest one counts, and the user is told which."""
    root = write("[converge.server]\nport = 9000").parent
    app = root / "src" / "deep" / "main.jac"
    app.parent.mkdir(parents=True)
    app.write_text("")
    loaded = load(app)
    assert (9000, root / "jac.toml", root) == (
        loaded.settings.server.port,
        loaded.files[0],
        loaded.root,
    )
    assert ("configured by jac.toml",) == loaded.notes


def test_load_app_takes_a_relative_path(write: Write) -> None:
    """A file named from the current folder becomes absolute."""
    app = write("")
    assert app == load(Path("shop.jac")).file


def test_load_app_accepts_a_byte_order_mark_and_windows_lines(write: Write) -> None:
    """What an editor on Windows writes."""
    app = write(b"\xef\xbb\xbf[converge.server]\r\nport = 9000\r\n")
    assert load(app).settings.server.port == 9000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.jac", "gone.jac: there is no such file; check the path"),
        ("shop.py", "shop.py: is not a .jac file; name the app's main file"),
        (".", ".: is a folder; name the app's main .jac file in it"),
    ],
)
def test_load_app_refuses_what_is_not_an_app(write: Write, name: str, said: str) -> None:
    """A missing app.jac, another file, a folder: one line with the fix."""
    write()
    Path("shop.py").touch()
    (line,) = problems(Path(name))
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("a = 1\n[converge\nx = 1", "jac.toml:2: is not TOML, column 10: expected ']'"),
        ("a = 1\n\n[x]\nb = ", "jac.toml:4: is not TOML"),
        ('a = """\n', "jac.toml:2: is not TOML, at its end: "),
        ("a = 1\na = 2\nb = 3", "jac.toml:2: is not TOML, column 6: cannot overwrite a value"),
        (b"a = '\xff'", "jac.toml: is not UTF-8 (byte 5); save it as UTF-8"),
    ],
    ids=["syntax", "no value", "unterminated", "twice", "not UTF-8"],
)
def test_load_app_says_where_a_file_is_broken(write: Write, toml: str | bytes, said: str) -> None:
    """Line and column where TOML has them, and what to do."""
    (line,) = problems(write(toml))
    assert line.startswith(said)
    assert ";" in line


def test_load_app_reports_every_broken_file(write: Write) -> None:
    """A broken overlay does not wait for jac.toml to be mended."""
    app = write("x", local="y")
    assert ["jac.local.toml:1", "jac.toml:1"] == sorted(
        line.split(": ")[0] for line in problems(app)
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_load_app_says_when_permission_is_missing(write: Write) -> None:
    """A file of somebody else."""
    app = write("")
    (app.parent / "jac.toml").chmod(0)
    assert ["jac.toml: cannot be read (permission denied); make it a readable file"] == problems(
        app
    )


def test_load_app_says_when_jac_toml_is_a_folder(write: Write) -> None:
    """Not a file at all: the reason of the operating system."""
    app = write()
    (app.parent / "jac.toml").mkdir()
    assert ["jac.toml: cannot be read (is a directory); make it a readable file"] == problems(app)


def test_load_app_says_when_a_link_leads_nowhere(write: Write) -> None:
    """A mounted ConfigMap that is gone must not look like no configuration."""
    app = write()
    (app.parent / "jac.toml").symlink_to("gone.toml")
    (line,) = problems(app)
    assert line.startswith("jac.toml: links to a file that is not there")


# Who wins


def test_load_app_prefers_flag_to_environment_to_profile_to_file(write: Write) -> None:
    """The whole order, one step at a time."""
    app = write(
        "[serve]\nport = 1\n[converge.server]\nport = 2\n"
        "[environments.prod.converge.server]\nport = 4",
        prod="[converge.server]\nport = 3\nworkers = 3",
        local="[converge.server]\nroot_path = '/local'",
    )

    def port(**rest: Any) -> int:
        return load(app, **rest).settings.server.port

    assert (2, 4, 9) == (
        port(),
        port(profile="prod"),
        port(profile="prod", flags={"server.port": 9, "server.host": None}),
    )
    prod = load(app, {"JAC_PROFILE": "prod"}).settings.server
    assert (4, 3, "/local") == (prod.port, prod.workers, prod.root_path)


def test_load_app_prefers_the_environment_for_its_three_variables(write: Write) -> None:
    """MONGODB_URI, REDIS_URL and JWT_SECRET, taken literally; empty is not given."""
    app = write("[converge.database]\nmongodb_uri = '${GONE}'\nredis_url = 'redis://file'")
    environ = {"MONGODB_URI": "mongodb://a:${b@c", "REDIS_URL": "", "JWT_SECRET": "s" * 32}
    settings = load(app, environ).settings
    assert settings.database.mongodb_uri is not None
    assert settings.database.redis_url is not None
    assert settings.jwt.secret is not None
    assert ("mongodb://a:${b@c", "redis://file", "s" * 32) == (
        settings.database.mongodb_uri.get_secret_value(),
        settings.database.redis_url.get_secret_value(),
        settings.jwt.secret.get_secret_value(),
    )


def test_load_app_honours_the_keys_of_jaclang(write: Write) -> None:
    """`[serve]` and `[project]` are jaclang's, and mean what they mean there."""
    settings = load(
        write("[serve]\nport = 9\non_conflict = 'fail'\nconflict_max_attempts = 2\nmain = 'x'")
    ).settings
    assert (9, "fail", 2) == (
        settings.server.port,
        settings.on_conflict,
        settings.conflict_max_attempts,
    )


def test_load_app_names_a_problem_in_the_keys_of_jaclang(write: Write) -> None:
    """The key is named as it is written, not where it ends up."""
    assert [
        "jac.toml:2: serve.port: must be at least 1, not 0",
        "jac.toml:3: serve.on_conflict: must be 'retry' or 'fail', not \"maybe\"",
    ] == problems(write("[serve]\nport = 0\non_conflict = 'maybe'"))


def test_load_app_replaces_a_table_by_a_value_of_a_stronger_layer(write: Write) -> None:
    """Merging is by key; where the shapes differ, the stronger one counts."""
    app = write("[converge.server]\nport = 1", local="[converge]\nserver = 3")
    assert ["jac.local.toml:2: converge.server: must be a table, not 3"] == problems(app)
    app = write("[converge]\nserver = 3", local="[converge.server]\nport = 7")
    assert load(app).settings.server.port == 7


# Profiles


def test_load_app_applies_inherited_environments_first(write: Write) -> None:
    """`inherits`, as jaclang has it; a circle ends."""
    app = write(
        "[environments.base]\ninherits = 'prod'\nconverge.server = { port = 5, workers = 5 }\n"
        "[environments.prod]\ninherits = 'base'\nconverge.server.port = 6"
    )
    server = load(app, profile="prod").settings.server
    assert (6, 5) == (server.port, server.workers)


def test_load_app_applies_the_default_profile_of_jac_toml(write: Write) -> None:
    """`[environment] default_profile`, when nobody asks for another."""
    app = write(
        "[environment]\ndefault_profile = 'dev'",
        dev="[converge.server]\nport = 5",
        prod="[converge.server]\nport = 6",
    )
    assert (5, 6) == (
        load(app).settings.server.port,
        load(app, profile="prod").settings.server.port,
    )
    assert ["jac.toml", "jac.dev.toml", "jac.local.toml"] == [f.name for f in load(app).files]


@pytest.mark.parametrize("toml", [None, "[environments]\nstage = 3", "environments = 1"])
def test_load_app_refuses_an_unknown_profile(write: Write, toml: str | None) -> None:
    """A misspelt profile must not deploy the defaults."""
    assert [
        (
            "jac.toml: there is no profile 'stage' (from --profile): neither jac.stage.toml beside "
            "it, nor [environments.stage] in it; add one of them"
        )
    ] == problems(write(toml), profile="stage")


def test_load_app_refuses_a_profile_that_is_a_path(write: Write) -> None:
    """A profile is a name; it cannot lead out of the folder."""
    (line,) = problems(write(""), {"JAC_PROFILE": "../x"})
    assert "there is no profile '../x' (from JAC_PROFILE)" in line


# Names


@pytest.mark.parametrize(
    ("toml", "name"),
    [
        ("[project]\nname = 'My_Shop 2'", "my-shop-2"),
        ("[project]\nname = '2048'", "app-2048"),
        ("[project]\nname = ''", "shop"),
        ("[project]\nname = 3", "shop"),
        ("[project]\nname = 'x'\n[converge.kubernetes]\napp_name = 'y'", "y"),
    ],
)
def test_load_app_makes_a_dns_label_of_the_name(write: Write, toml: str, name: str) -> None:
    """`app_name`, else the project's name, else the file's."""
    app = load(write(toml))
    assert (name, name) == (app.name, app.namespace)


def test_load_app_takes_the_namespace_given(write: Write) -> None:
    """The name is only its default."""
    assert load(write("[converge.kubernetes]\nnamespace = 'prod'")).namespace == "prod"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("日本", "jac.toml:2: project.name: '日本' has no a-z or 0-9; set [converge.kubernetes]"),
        ("x" * 41, f"jac.toml:2: project.name: '{'x' * 41}' is too long for a name (at most 40);"),
    ],
)
def test_load_app_refuses_a_name_it_cannot_use(write: Write, name: str, said: str) -> None:
    """Nothing left, or too much: set `app_name`."""
    (line,) = problems(write(f"[project]\nname = '{name}'"))
    assert line.startswith(said)


def test_load_app_refuses_a_file_name_it_cannot_use(write: Write) -> None:
    """Without a project name, the file is what the problem is about."""
    app = write().with_name("___.jac")
    app.touch()
    (line,) = problems(app)
    assert line.startswith("___.jac: '___' has no a-z or 0-9; set [converge.kubernetes] app_name")


# Problems


def test_load_app_reports_everything_at_once(write: Write) -> None:
    """Unknown keys, wrong types, bounds, choices, quantities, variables: each on its line."""
    app = write(
        """
[converge]
replicas = 2
colour = "red"
on_conflict = "retry"
[converge.server]
prot = 1
workers = true
docs_enabled = "perhaps"
cors_origins = ["https://a.example", 3]
[converge.kubernetes]
replicas = "three"
cpu_request = "500mm"
image = "${REGISTRY}/shop"
autoscaling = { max_replicas = 0, cpu_target = [
  3] }
env.DEBUG = 1
[converge.watch]
mode = "heals"
hush = []
"""
    )
    assert [
        "jac.toml:3: converge.replicas: unknown key; it belongs to [converge.kubernetes]",
        (
            "jac.toml:4: converge.colour: unknown key; known here: "
            "database, jwt, kubernetes, mail, secrets, server, sso, storage, watch, webhooks"
        ),
        "jac.toml:5: converge.on_conflict: unknown key; it belongs to jaclang's [serve]",
        "jac.toml:7: converge.server.prot: unknown key; did you mean `port`?",
        "jac.toml:8: converge.server.workers: must be a number, not true",
        'jac.toml:9: converge.server.docs_enabled: must be true or false, not "perhaps"',
        "jac.toml:10: converge.server.cors_origins[1]: must be a string in quotes, not 3",
        'jac.toml:12: converge.kubernetes.replicas: must be a whole number, not "three"',
        (
            "jac.toml:13: converge.kubernetes.cpu_request: must be cores, in steps of 1m, such as "
            '"500m" (half a core), "1" or "1.5", not "500mm"'
        ),
        (
            "jac.toml:14: converge.kubernetes.image: needs the environment variable REGISTRY, "
            "which is not set; set it, or write ${REGISTRY:-default}"
        ),
        "jac.toml:15: converge.kubernetes.autoscaling.max_replicas: must be at least 1, not 0",
        (
            "jac.toml:15: converge.kubernetes.autoscaling.cpu_target: unknown key; "
            "did you mean `cpu_utilization_target`?"
        ),
        "jac.toml:17: converge.kubernetes.env.DEBUG: must be a string in quotes",
        "jac.toml:19: converge.watch.mode: must be 'heal', 'warn' or 'off', not \"heals\"",
        "jac.toml:20: converge.watch.hush: unknown key; known here: ignore, mode, resync_seconds",
    ] == sorted(problems(app), key=lambda line: int(line.split(":")[1]))


def test_load_app_points_broken_rules_at_their_keys(write: Write) -> None:
    """Min above max, autoscaling without a request, several pods on a shelf: all with a line."""
    app = write(
        """
[converge.kubernetes]
cpu_request = ""
[converge.kubernetes.autoscaling]
min_replicas = 6
[converge.kubernetes.mongodb]
enabled = false
"""
    )
    found = [line.split(" ")[:2] for line in problems(app)]
    table = "converge.kubernetes.autoscaling"
    assert [
        ["jac.toml:4:", f"{table}.cpu_utilization_target:"],
        ["jac.toml:4:", f"{table}.max_replicas:"],
        ["jac.toml:5:", f"{table}.min_replicas:"],
    ] == sorted(found)


@pytest.mark.parametrize(
    ("toml", "secret"),
    [
        ("[converge.jwt]\nsecret = 'hunter2'", "hunter2"),
        ("[converge.jwt]\nsecrt = 'hunter2'", "hunter2"),
        ("[converge.database]\nmongodb_uri = 'hunter2'", "hunter2"),
        ("[converge.database]\nredis_url = 424242", "424242"),
        ("[converge.secrets]\nKEY = 424242", "424242"),
        ("[converge]\nsecrets = 'hunter2'", "hunter2"),
        ("[converge.kubernetes.env]\nKEY = 424242", "424242"),
    ],
)
def test_load_app_never_shows_a_secret(write: Write, toml: str, secret: str) -> None:
    """A wrong value is shown, unless it is one that nobody should see."""
    (line,) = problems(write(toml))
    assert secret not in line
    assert line.startswith("jac.toml:2: converge.")


def test_load_app_keeps_secrets_out_of_the_traceback(write: Write) -> None:
    """The error that pydantic raised, with its input, is not chained to ours."""
    with pytest.raises(ConfigError) as caught:
        load(write("[converge.jwt]\nsecret = 'hunter2'"))
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_load_app_names_what_is_not_in_a_file(write: Write) -> None:
    """A flag and a variable have no line, but a name."""
    assert [
        (
            "converge.database.redis_url: must be a URL that begins with redis:// "
            "(from the environment variable REDIS_URL)"
        ),
        "converge.server.port: must be at most 65535, not 70000 (from the command line)",
    ] == sorted(problems(write(), {"REDIS_URL": "x"}, flags={"server.port": 70000}))


def test_load_app_points_into_the_profile(write: Write) -> None:
    """A key of an overlay is named where it stands."""
    app = write("[converge.server]\n[environments.prod.converge.server]\nport = 'x'")
    assert [
        'jac.toml:3: environments.prod.converge.server.port: must be a whole number, not "x"'
    ] == problems(app, profile="prod")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("converge = 3", "jac.toml:1: converge: must be a table; write [converge]"),
        (
            "\n[environments.p]\nconverge = 3",
            "jac.toml:3: environments.p.converge: must be a table; write [converge]",
        ),
    ],
)
def test_load_app_refuses_a_converge_that_is_no_table(write: Write, toml: str, said: str) -> None:
    """In jac.toml and in a profile."""
    assert [said] == problems(write(toml, p=""), profile="p")


def test_load_app_cuts_a_long_value_short(write: Write) -> None:
    """A message stays one line."""
    (line,) = problems(write(f"[converge.watch]\nmode = '{'x' * 500}'"))
    assert line.endswith("x...")
    assert len(line) < 200


def test_load_app_names_a_file_outside_the_current_folder_in_full(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From elsewhere, `jac.toml` alone would be a riddle."""
    app = write("[converge.server]\nport = 0")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    (line,) = problems(app)
    assert line.startswith(f"{app.parent}/jac.toml:2: ")


def test_problem_shows_only_what_it_has() -> None:
    """A problem without a place or a key is its message."""
    assert str(Problem(file=None, line=None, key=None, message="x")) == "x"


# Variables that only one command needs


def test_load_app_wants_every_variable_to_scale(write: Write) -> None:
    """`jac scale` cannot send what it does not have."""
    app = write("[converge.secrets]\nKEY = '${KEY}'\n[converge.kubernetes]\nenv = { A = '${A}' }")
    assert ["jac.toml:2", "jac.toml:4"] == [line.split(": ")[0] for line in problems(app)]


def test_load_app_serves_without_variables_of_the_cluster(write: Write) -> None:
    """A pod has the results of `[converge.secrets]`, not the variables they came from."""
    app = write(
        "[converge.secrets]\nKEY = '${GONE}'\nB = 'b'\n"
        "[converge.kubernetes]\nimage = '${GONE}'\n"
        "[converge.server]\nroot_path = '${ROOT:-/x}'"
    )
    settings = load(app, purpose="serve").settings
    assert (["B"], None, "/x") == (
        list(settings.secrets),
        settings.kubernetes.image,
        settings.server.root_path,
    )


def test_load_app_wants_its_own_variables_to_serve(write: Write) -> None:
    """What serving needs has to be there; a missing URI is not taken for a shelf."""
    app = write(
        "[converge.database]\nmongodb_uri = '${GONE}'\n"
        "[converge.kubernetes]\nreplicas = 2\nmongodb.enabled = false"
    )
    (line,) = problems(app, purpose="serve")
    assert line.startswith("jac.toml:2: converge.database.mongodb_uri: needs the environment")


def test_load_app_does_not_want_a_variable_that_is_overridden(write: Write) -> None:
    """The weaker value is never looked at."""
    app = write("[converge.server]\nport = '${GONE}'")
    assert load(app, flags={"server.port": 5}).settings.server.port == 5


def test_way_to_the_app_does_not_matter(write: Write, tmp_path: Path) -> None:
    """`a/../b` lies in b, and a jac.toml of a is none of its business."""
    write("[converge.server]\nport = 9001\n")
    other = tmp_path / "other" / "app.jac"
    other.parent.mkdir()
    other.touch()
    way = tmp_path / "other" / ".." / "other" / ".." / "elsewhere" / "app.jac"
    way.parent.resolve().mkdir()
    way.resolve().touch()
    (other.parent / "jac.toml").write_text("[converge.server]\nport = 9002\n")
    app = load_app(way, environ={})
    assert (9001, tmp_path / "elsewhere" / "app.jac") == (app.settings.server.port, app.file)
