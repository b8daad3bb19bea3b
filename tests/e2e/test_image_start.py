"""A pod of a built image has nothing left to compile."""

import http.client
import json
from pathlib import Path
from threading import Event

import pytest

from jac_converge.config.load import load_app
from jac_converge.reconciler.image.blobs import Blobs, cache_folder
from jac_converge.reconciler.image.production import Made, make, sources_of
from tests.e2e.image_places import cache, write_base, write_code
from tests.servers.image_root import ImageRoot, missing

TOML = """
[project]
name = "shop"
[converge.kubernetes.image_build]
base = "./base.tar"
"""
CODE = """
import from prices { price }
node Order { has amount: int; }
walker:pub buy {
    has amount: int;
    can go with Root entry { here ++> Order(amount=self.amount); report self.amount * price; }
}
"""


def made_in(folder: Path) -> Made:
    """Build the image of a small app of two modules, with what other tests built before."""
    write_code(folder, "")
    (folder / "shop.jac").write_text(CODE)
    (folder / "prices.jac").write_text("glob price: int = 3;\n")
    (folder / "jac.toml").write_text(TOML)
    write_base(folder)
    app = load_app(folder / "shop.jac", environ={})
    return make(
        app,
        sources_of(app),
        "linux/amd64",
        Blobs(cache_folder(cache()) / "images"),
        environ=cache(),
        parse=lambda _: [],
        tell=lambda _: None,
        stop=Event(),
    )


@pytest.mark.skipif(bool(missing()), reason=missing() or "it can run")
def test_pod_of_a_built_image_compiles_nothing(tmp_path: Path) -> None:
    """By its own user, in a root that cannot be written: neither Python, nor Jac, nor jaclang."""
    made = made_in(tmp_path / "shop")
    with ImageRoot(made.image, made.layer) as pod:
        assert [] == pod.compiled
        connection = http.client.HTTPConnection("127.0.0.1", pod.port, timeout=20)
        body = json.dumps({"amount": 7})
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/walker/buy", body=body, headers=headers)
        answer = connection.getresponse()
        assert (200, True) == (answer.status, b"21" in answer.read())
        connection.close()
        assert [] == pod.compiled
