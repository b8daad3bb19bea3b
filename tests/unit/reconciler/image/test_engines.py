"""docker, podman and buildah, each in its own words; a stand-in on PATH writes them down.

The real ones do not run where the tests do.
"""

import json
import os
import sys
from pathlib import Path

import pytest

from jac_converge.config.load import App, ConfigError, load_app
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image.engines import Engine

DIGEST = "ab" * 32
REFERENCE = "registry.example/shop:1"
PROGRAM = """#!{python}
import json, os, sys
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if "build" in sys.argv:
    assert os.path.exists("Dockerfile")
    print("{printed}")
if "broken" in {calls!r}:
    sys.exit("COPY failed: no such file")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """Give an app with a Dockerfile, and an empty folder of programs at the front of PATH."""
    (tmp_path / "shop.jac").write_text("")
    (tmp_path / "jac.toml").write_text("")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return load_app(tmp_path / "shop.jac", environ={})


def install(app: App, name: str, *, printed: str, calls: str = "calls") -> Path:
    """Put a stand-in on PATH; returns the file of its calls."""
    file = app.root / calls
    program = app.root / "bin" / name
    program.write_text(PROGRAM.format(python=sys.executable, calls=str(file), printed=printed))
    program.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("name", "printed", "pushed", "saved"),
    [
        (
            "docker",
            f"sha256:{DIGEST}",
            f"push {REFERENCE}",
            f"save --output OUT {REFERENCE}",
        ),
        (
            "podman",
            DIGEST,
            f"push --tls-verify=false {REFERENCE}",
            f"save --format docker-archive --output OUT {REFERENCE}",
        ),
        (
            "buildah",
            f"STEP 1/1: FROM scratch\\n{DIGEST}",
            f"push --tls-verify=false {REFERENCE}",
            f"push {REFERENCE} docker-archive:OUT:{REFERENCE}",
        ),
    ],
)
def test_engine_is_spoken_to_in_its_own_words(
    app: App, name: str, printed: str, pushed: str, saved: str
) -> None:
    """Build, tag, push and save; the digest is what the build printed last."""
    calls = install(app, name, printed=printed)
    engine = Engine(name=name, plain_http=True)
    assert f"sha256:{DIGEST}" == engine.build(app, "linux/arm64")
    engine.tag(f"sha256:{DIGEST}", REFERENCE)
    engine.push(REFERENCE)
    engine.save(REFERENCE, Path("OUT"))
    told = [" ".join(json.loads(line)) for line in calls.read_text().splitlines()]
    assert [
        "build --quiet --platform linux/arm64 .",
        f"tag {DIGEST} {REFERENCE}",
        pushed,
        saved,
    ] == told


def test_engine_that_is_missing_or_fails_is_told(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do instead, and with its last words."""
    monkeypatch.setenv("PATH", str(app.root / "bin"))
    engine = Engine(name="podman")
    with pytest.raises(ConfigError, match=r'builder: is podman, which is not on PATH; .*"builtin"'):
        engine.build(app, "linux/amd64")
    install(app, "podman", printed=DIGEST, calls="broken")
    with pytest.raises(Invalid, match="podman ended with 1: COPY failed: no such file"):
        engine.build(app, "linux/amd64")
    (app.root / "Dockerfile").unlink()
    with pytest.raises(ConfigError, match=r"there is no Dockerfile beside jac\.toml"):
        engine.build(app, "linux/amd64")
