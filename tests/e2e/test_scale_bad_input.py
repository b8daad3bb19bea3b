"""What a user can get wrong: one message with file, key and fix, and nothing changed."""

import json
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.cluster.foreign_edits import path_of
from tests.e2e.scale_command import run_scale, write_app
from tests.servers.api import ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.process import free_port

KUBERNETES = '[converge.kubernetes]\nimage = "example/shop:1"\n'
SCALING = "[converge.kubernetes.autoscaling]\n"


def kubeconfig_file(folder: Path, server: str) -> Path:
    """A kubeconfig with one context, `local`."""
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "me"}}],
        "current-context": "local",
    }
    file.write_text(json.dumps(content))
    return file


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        pytest.param(
            KUBERNETES + "replicaz = 2\n",
            ["jac.toml:3", "converge.kubernetes.replicaz", "replicas"],
            id="unknown key",
        ),
        pytest.param(
            KUBERNETES + 'replicas = "many"\n',
            ["jac.toml:3", "converge.kubernetes.replicas", "many"],
            id="wrong type",
        ),
        pytest.param(
            KUBERNETES.replace("example/shop", "UPPER/x"),
            ["jac.toml:2", "converge.kubernetes.image", "UPPER/x:1", "lower case"],
            id="no image reference",
        ),
        pytest.param(
            KUBERNETES + SCALING + "min_replicas = 5\nmax_replicas = 2\n",
            ["jac.toml:4", "min_replicas", "5 is more than max_replicas 2", "raise max_replicas"],
            id="min above max",
        ),
        pytest.param(
            KUBERNETES + 'cpu_request = ""\n' + SCALING,
            ["jac.toml:4", "cpu_utilization_target", "set [converge.kubernetes] cpu_request"],
            id="HPA without a request",
        ),
        pytest.param(
            KUBERNETES + "replicas = 3\n[converge.kubernetes.mongodb]\nenabled = false\n",
            ["jac.toml:3", "converge.kubernetes.replicas", "shelf", "mongodb_uri"],
            id="several replicas on a shelf",
        ),
        pytest.param(
            KUBERNETES + '[converge.storage]\nkind = "disk"\n',
            ["converge.storage", "pods have no disk that lasts", 'kind = "s3" and bucket'],
            id="files on the disks of pods",
        ),
        pytest.param("[converge.kubernetes\n", ["jac.toml:1"], id="not TOML"),
    ],
)
def test_scale_names_file_key_and_fix_of_a_wrong_setting(
    tmp_path: Path, toml: str, words: list[str]
) -> None:
    """Exit code 2 before anything is asked of any cluster: there is none here."""
    done = run_scale(write_app(tmp_path, toml), kubeconfig=tmp_path / "absent")
    assert (2, "") == (done.code, done.out)
    assert [] == [word for word in words if word not in done.one_message]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(["--plan", "--watch"], ["--plan and --watch", "one of them"], id="two verbs"),
        pytest.param(["--data"], ["--data", "--destroy"], id="data without destroy"),
        pytest.param(["--yes"], ["--yes", "--destroy"], id="yes without destroy"),
        pytest.param(["--for", "10m"], ["--for", "--pause"], id="how long without pause"),
        pytest.param(["--pause", "--for", "ten"], ["--for", "10m", "'ten'"], id="no duration"),
        pytest.param(["--timeout", "0"], ["--timeout", "above 0"], id="no time"),
        pytest.param(["--profile", "moon"], ["--profile", "moon"], id="no such profile"),
    ],
)
def test_scale_refuses_flags_that_mean_nothing(
    tmp_path: Path, flags: list[str], words: list[str]
) -> None:
    """Exit code 2, and the flag's name."""
    done = run_scale(write_app(tmp_path, KUBERNETES), *flags, kubeconfig=tmp_path / "absent")
    assert (2, "") == (done.code, done.out)
    assert [] == [word for word in words if word not in done.one_message]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(["--replicas", "3"], "unrecognized arguments: --replicas", id="unknown flag"),
        pytest.param(["--timeout", "long"], "argument --timeout", id="not a number"),
    ],
)
def test_scale_shows_its_usage_for_an_unknown_flag(
    tmp_path: Path, flags: list[str], words: str
) -> None:
    """The parser's own words and exit code."""
    done = run_scale(write_app(tmp_path, KUBERNETES), *flags)
    assert (2, True, False) == (done.code, words in done.err, "Traceback" in done.err)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("absent.jac", "no such file", id="missing"),
        pytest.param("jac.toml", "not a .jac file", id="another kind of file"),
        pytest.param(".", "is a folder", id="folder"),
    ],
)
def test_scale_needs_a_jac_file(tmp_path: Path, name: str, words: str) -> None:
    """Exit code 2; the message names what was given."""
    write_app(tmp_path, KUBERNETES)
    done = run_scale(tmp_path / name, kubeconfig=tmp_path / "absent")
    assert (2, True) == (done.code, words in done.one_message)


@pytest.mark.parametrize("flags", [[], ["--plan"], ["--watch"]], ids=["apply", "plan", "watch"])
def test_scale_deploys_no_app_that_does_not_compile(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, flags: list[str]
) -> None:
    """The place of the error, and not one object."""
    file = write_app(tmp_path, f'{KUBERNETES}namespace = "{namespace}"\n')
    file.write_text("walker hi {\n    can go with entry { report 1 + ; }\n}\n")
    done = run_scale(file, *flags, kubeconfig=control_plane.kubeconfig)
    assert 2 == done.code, done
    assert f"{file}:2: does not compile: " in done.err
    made = control_plane.api.get(path_of("ServiceAccount", namespace))["items"]
    assert "shop" not in [obj["metadata"]["name"] for obj in made]


def test_scale_says_when_no_cluster_answers(tmp_path: Path) -> None:
    """A closed port: exit code 1 within seconds, with the address."""
    server = f"https://127.0.0.1:{free_port()}"
    app = write_app(tmp_path, KUBERNETES)
    for flags in ([], ["--watch"]):
        started = time.monotonic()
        done = run_scale(app, *flags, kubeconfig=kubeconfig_file(tmp_path, server), timeout=20)
        assert (1, True) == (done.code, f"{server} does not answer" in done.one_message)
        assert time.monotonic() - started < 15


class AnotherServer(BaseHTTPRequestHandler):
    """A web server that knows nothing of Kubernetes."""

    body = b""

    def do_GET(self) -> None:
        """Answer that there is no such page."""
        self.send_response(404)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    "body",
    [b"", b"404 page not found\n", b"<html>Not found</html>", b'{"detail": "Not Found"}'],
    ids=["empty", "text", "HTML", "JSON"],
)
def test_scale_says_when_another_server_answers(tmp_path: Path, body: bytes) -> None:
    """Exit code 2, with the address and the context."""
    handler = type("Handler", (AnotherServer,), {"body": body})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, name="another server", daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        file = kubeconfig_file(tmp_path, url)
        done = run_scale(write_app(tmp_path, KUBERNETES), kubeconfig=file)
        server.shutdown()
    words = (url, "no Kubernetes API server", "context local")
    assert (2, []) == (done.code, [word for word in words if word not in done.one_message])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="no file"),
        pytest.param("", id="empty"),
        pytest.param("clusters: [", id="not YAML"),
        pytest.param("- a list", id="a list"),
        pytest.param("[1, 2]", id="a list of numbers"),
        pytest.param("users: [1, 2]", id="users without names"),
        pytest.param("contexts: 3\ncurrent-context: 3\n", id="wrong types"),
    ],
)
def test_scale_says_when_the_kubeconfig_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    """Exit code 2, and the file's name."""
    file = tmp_path / "my-kubeconfig"
    if content is not None:
        file.write_text(content)
    done = run_scale(write_app(tmp_path, KUBERNETES), kubeconfig=file)
    assert (2, "") == (done.code, done.out)
    assert [] == [w for w in ("my-kubeconfig", "KUBECONFIG") if w not in done.one_message]
    assert "indices" not in done.one_message


def test_scale_reads_the_usual_kubeconfig_when_its_variable_is_empty(tmp_path: Path) -> None:
    """As kubectl does."""
    server = f"https://127.0.0.1:{free_port()}"
    (tmp_path / ".kube").mkdir()
    kubeconfig_file(tmp_path, server).rename(tmp_path / ".kube" / "config")
    done = run_scale(
        write_app(tmp_path, KUBERNETES), env={"KUBECONFIG": "", "HOME": str(tmp_path)}, timeout=20
    )
    assert (1, True) == (done.code, f"{server} does not answer" in done.one_message)


def test_scale_names_the_login_plugin_that_is_not_installed(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    """One message with the plugin, its user and the file; nothing is asked as nobody."""
    content = json.loads(control_plane.kubeconfig.read_text())
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}
    content["users"][0]["user"] = {"exec": {**plugin, "interactiveMode": "Never"}}
    file = tmp_path / "my-kubeconfig"
    file.write_text(json.dumps(content))
    done = run_scale(write_app(tmp_path, KUBERNETES), kubeconfig=file)
    words = ("no-such-plugin", f"user {content['users'][0]['name']}", str(file), "install it")
    assert (1, []) == (done.code, [word for word in words if word not in done.one_message])
    assert 1 == len(done.one_message.splitlines())
    assert "anonymous" not in done.one_message


def test_scale_lists_the_contexts_when_there_is_no_such(tmp_path: Path) -> None:
    """A typo in --context is answered with the names there are."""
    file = kubeconfig_file(tmp_path, "https://127.0.0.1:1")
    app = write_app(tmp_path, KUBERNETES)
    done = run_scale(app, "--context", "prodd", kubeconfig=file)
    assert 2 == done.code
    words = ("prodd", "--context", "[converge.kubernetes] context", "as one of: local")
    assert [] == [word for word in words if word not in done.one_message]


def test_scale_destroys_what_could_not_be_deployed_again(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """What is wrong for the pods alone does not matter to what deletes them."""
    there = f'[converge.kubernetes]\nnamespace = "{unused_namespace}"\n'
    image = 'image = "example/shop:1"\n'
    stores = "".join(
        f"[converge.kubernetes.{store}]\nenabled = false\n" for store in ("redis", "mongodb")
    )
    wrong = '[converge.database]\nshelf_db_path = "shelf.db"\n'
    kubeconfig = control_plane.kubeconfig
    for imaged in (image, ""):
        write_app(tmp_path, there + image + stores)
        run_scale(tmp_path / "shop.jac", "--timeout", "1", kubeconfig=kubeconfig)
        file = write_app(tmp_path, there + imaged + stores + wrong)
        done = run_scale(file, "--destroy", "--yes", kubeconfig=kubeconfig)
        assert (0, "") == (done.code, done.err)
        assert "Deployment/shop deleted" in done.out


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "JSON"])
def test_scale_takes_over_a_stranger_only_when_told(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, flags: list[str]
) -> None:
    """An object of the same name is refused, with nothing written at all; --adopt takes it."""
    api, path = control_plane.api, path_of("ConfigMap", namespace, "shop-config")
    stranger = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-config"}}
    before = api.post(path_of("ConfigMap", namespace), {**stranger, "data": {"theirs": "1"}})
    app = write_app(tmp_path, f'{KUBERNETES}namespace = "{namespace}"\n')
    kubeconfig = control_plane.kubeconfig

    done = run_scale(app, *flags, kubeconfig=kubeconfig)
    assert 1 == done.code
    assert [] == [word for word in ("shop-config", "--adopt") if word not in done.out]
    told = done.out if flags else done.one_message
    assert "nothing was written: not ConfigMap/shop-config, which is refused, nor any of" in told
    with pytest.raises(ApiFailed, match="404"):
        api.get(path_of("ServiceAccount", namespace, "shop"))
    assert before == api.get(path)

    plan = run_scale(app, "--adopt", "--plan", "--json", kubeconfig=kubeconfig)
    verbs = {(s["kind"], s["name"]): s["verb"] for s in json.loads(plan.out)["steps"]}
    assert (3, "update") == (plan.code, verbs["ConfigMap", "shop-config"])


def test_scale_says_what_was_written_when_the_server_refuses_a_create(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Of a new namespace nothing can be tried before: then both sides are named."""
    more = f'namespace = "{unused_namespace}"\nextra = ["*.yaml"]\nredis.enabled = false\n'
    app = write_app(tmp_path, f"{KUBERNETES}{more}mongodb.enabled = false\n")
    odd = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: No_Name}\n"
    (tmp_path / "odd.yaml").write_text(odd)
    done = run_scale(app, kubeconfig=control_plane.kubeconfig)
    written, _, missing = done.one_message.partition("; not written: ")
    assert (1, "ConfigMap/No_Name\n") == (done.code, missing)
    assert "ConfigMap/No_Name apply failed (Invalid): " in written
    assert re.search(r"; written: ConfigMap/shop-config, .* and \d+ more$", written)
    assert control_plane.api.get(path_of("Deployment", unused_namespace, "shop"))


def test_scale_says_what_it_waits_for_when_the_time_is_over(
    control_plane: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Nothing rolls out without controllers: exit code 1, with the object and the flag."""
    app = write_app(tmp_path, KUBERNETES + f'namespace = "{unused_namespace}"\n')
    done = run_scale(app, "--timeout", "3", kubeconfig=control_plane.kubeconfig)
    words = ("not healthy after 3 s", "shop", "waiting for", "--timeout")
    assert (1, []) == (done.code, [word for word in words if word not in done.one_message])


def test_scale_ends_in_seconds_when_the_image_cannot_be_pulled(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """The roll-out cannot succeed: the pod's reason, not the timeout; a good image then does."""
    shelf = (
        "replicas = 1\n[converge.kubernetes.mongodb]\nenabled = false\n"
        "[converge.kubernetes.redis]\nenabled = false\n"
    )
    app = write_app(tmp_path, KUBERNETES + f'namespace = "{unused_namespace}"\n{shelf}')
    kubeconfig = cluster_with_controllers.kubeconfig
    started = time.monotonic()
    bad = run_scale(app, "--image", "registry.invalid/shop:2", kubeconfig=kubeconfig)
    assert time.monotonic() - started < 30
    words = ("Deployment/shop", "ImagePullBackOff", "registry.invalid/shop:2")
    assert (1, []) == (bad.code, [word for word in words if word not in bad.one_message])
    status = run_scale(app, "--status", kubeconfig=kubeconfig)
    assert (1, True) == (status.code, "ImagePullBackOff" in status.out)
    assert 0 == run_scale(app, kubeconfig=kubeconfig).code
