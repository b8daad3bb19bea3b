"""`jac scale` where no registry is named, and none is needed: the app's files in ConfigMaps."""

import base64
import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.image_places import Shop, cache, renamed_context, write_code
from tests.e2e.scale_command import running_scale
from tests.servers.control_plane import ControlPlane

TOML = """
[converge.kubernetes]
namespace = "{namespace}"
[converge.kubernetes.image_build]
runtime = "registry.example/jac:1"
"""


@pytest.fixture
def shop(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> Iterator[Shop]:
    """Give an app on a cluster that no tool of this machine loads images into."""
    folder = tmp_path / "shop"
    file = write_code(folder, "hello")
    (folder / "jac.toml").write_text(TOML.format(namespace=unused_namespace))
    kubeconfig = renamed_context(cluster_with_controllers.kubeconfig, "work", tmp_path)
    shop = Shop(file=file, kubeconfig=kubeconfig, env=cache())
    yield shop
    assert 0 == shop.scale("--destroy", "--data", "--yes").code
    assert {} == code_in(cluster_with_controllers, unused_namespace)


def code_in(server: ControlPlane, namespace: str) -> dict[str, dict[str, Any]]:
    """The ConfigMaps with code, by name."""
    found = server.api.get(f"/api/v1/namespaces/{namespace}/configmaps")["items"]
    names = {obj["metadata"]["name"]: obj for obj in found}
    return {name: obj for name, obj in names.items() if "-code-" in name}


def files_in(config_map: dict[str, Any]) -> set[str]:
    """What is in a ConfigMap that has all of it."""
    (packed,) = config_map["binaryData"].values()
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as archive:
        return set(archive.getnames())


def test_code_goes_into_config_maps_and_rolls_out_and_back(
    shop: Shop, cluster_with_controllers: ControlPlane, unused_namespace: str
) -> None:
    """Said aloud; each version has its own, which stays as long as its release."""
    server, namespace = cluster_with_controllers, unused_namespace
    done = shop.scale()
    assert (0, 1) == (done.code, done.err.count("packing shop; ")), done
    assert re.search(r"kB of the app go into ConfigMaps, and are unpacked over registry", done.out)
    ((first, config_map),) = code_in(server, namespace).items()
    assert {"app/shop.jac", "app/jac.toml"} <= files_in(config_map)
    assert "created" not in shop.scale().out
    write_code(shop.file.parent, "good bye")
    done = shop.scale()
    assert 0 == done.code, done
    now = code_in(server, namespace)
    assert first in now
    assert 2 == len(now)
    with running_scale(shop.file, "--watch", kubeconfig=shop.kubeconfig, env=shop.env) as watching:
        watching.wait_for("Deployment/shop: ready")
        assert "configured" not in watching.text, watching.text
        told = len(watching.lines)
        write_code(shop.file.parent, "good bye, all")
        watching.wait_for("Deployment/shop .*configured", after=told)
        # What was being packed when that was saved has it already: then this comes after.
        watching.wait_for("packing shop; ", after=told)
        packed = [line for line in watching.lines if "packing shop; " in line]
        assert all(re.match(r"\d\d:\d\d:\d\d packing", line) for line in packed)
        assert 0 == watching.end()
    done = shop.scale("--rollback", "--release", "1")
    assert 0 == done.code, done
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/shop"
    volumes = server.api.get(path)["spec"]["template"]["spec"]["volumes"]
    (sources,) = [it["projected"]["sources"] for it in volumes if "projected" in it]
    assert [first] == [source["configMap"]["name"] for source in sources]


def test_code_that_is_too_large_is_refused(shop: Shop) -> None:
    """Before anything is written, with the way out."""
    (shop.file.parent / "film.bin").write_bytes(os.urandom(7_000_000))
    done = shop.scale()
    assert 2 == done.code
    assert "MB of files are too much for ConfigMaps (6.3 MB); name a registry" in done.err
    (shop.file.parent / "film.bin").unlink()
