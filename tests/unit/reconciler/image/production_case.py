"""An app that is built in tenths of a second: its dependencies were installed, and of no Python."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

from jac_converge.config.load import App, Problem, load_app
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.builder import FORM
from jac_converge.reconciler.image.dependencies import lock_of
from jac_converge.reconciler.image.layer import write_layer
from jac_converge.reconciler.image.production import Made, make, sources_of
from tests.servers.oci import write_image

__all__ = ["Case", "case_in"]

PYTHON = "3.99"
TOML = """
[project]
name = "shop"
[converge.kubernetes.image_build]
base = "./base.tar"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An app on disk, and what was built of it before."""

    app: App
    blobs: Blobs

    @property
    def code(self) -> Path:
        """Its own file."""
        return self.app.file

    def make(
        self,
        parse: Callable[[Path], list[Problem]] = lambda _: [],
        platform: str = "linux/amd64",
    ) -> Made:
        """Build its image, or find it."""
        return make(
            self.app,
            sources_of(self.app),
            platform,
            self.blobs,
            environ={},
            parse=parse,
            tell=lambda _: None,
            stop=Event(),
        )


def case_in(folder: Path, env: tuple[str, ...] = (f"PYTHON_VERSION={PYTHON}.1",)) -> Case:
    """Write the app and its base; its dependencies are an empty layer."""
    root = folder / "shop"
    root.mkdir()
    (root / "shop.jac").write_text("walker hi {}\n")
    (root / "jac.toml").write_text(TOML)
    write_image(root / "base.tar", "base:1", [], {"Env": ["PATH=/usr/bin:/bin", *env]})
    blobs = Blobs(folder / "cache")
    with blobs.writing() as (out, rename):
        layer = write_layer({}, out)
        rename(layer.digest)
    key = lock_of(root).key(PYTHON, "linux/amd64")
    blobs.note(f"{FORM}-dependencies-{key}", json.dumps(asdict(layer)))
    return Case(app=load_app(root / "shop.jac", environ={}), blobs=blobs)
