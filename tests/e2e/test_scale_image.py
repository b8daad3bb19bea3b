"""`jac scale` without an image: it builds one, and brings it where the cluster finds it."""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.registry import Registry
from tests.cluster.foreign_edits import path_of
from tests.e2e.image_places import (
    FAILS,
    HANGS,
    Shop,
    cache,
    install_tool,
    renamed_context,
    write_base,
    write_code,
)
from tests.e2e.scale_command import running_scale
from tests.servers.api import Api
from tests.servers.control_plane import ControlPlane
from tests.servers.process import wait_until
from tests.servers.registry import RegistryServer

SHELF = """
[converge.kubernetes.redis]
enabled = false
[converge.kubernetes.mongodb]
enabled = false
"""


def toml(namespace: str, *, repository: str = "", memory: str = "512Mi") -> str:
    """A configuration that names no image."""
    place = f'repository = "{repository}"\n' if repository else ""
    return (
        f'[converge.kubernetes]\nnamespace = "{namespace}"\nmemory_limit = "{memory}"\n'
        f'[converge.kubernetes.image_build]\nbase = "./base.tar"\n{place}{SHELF}'
    )


def image_of(api: Api, namespace: str) -> str:
    """What the app's pods run."""
    deployment: dict[str, Any] = api.get(path_of("Deployment", namespace, "shop"))
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """An app that is pushed to a registry of its own."""

    shop: Shop
    namespace: str
    registry: RegistryServer
    api: Api
    folder: Path

    def configure(self, *, memory: str) -> None:
        """Edit jac.toml."""
        text = toml(self.namespace, repository=self.repository, memory=memory)
        new = self.folder / "jac.toml.new"
        new.write_text(text)
        new.replace(self.folder / "jac.toml")

    @property
    def repository(self) -> str:
        """Where it is pushed to."""
        return f"{self.registry.host}/team/shop"

    def has(self, reference: str) -> bool:
        """Whether the registry has an image, by its digest."""
        named = Reference.parse(reference)
        registry = Registry(named, login=None, plain_http=False, stop=Event())
        found = registry.find(named.digest)
        registry.close()
        return found is not None


@pytest.fixture
def pushed(
    cluster_with_controllers: ControlPlane,
    registry_server: RegistryServer,
    unused_namespace: str,
    tmp_path: Path,
) -> Iterator[Pushed]:
    """Give an app and a registry that has nothing yet."""
    folder = tmp_path / "shop"
    file = write_code(folder, "hello")
    write_base(folder)
    shop = Shop(file=file, kubeconfig=cluster_with_controllers.kubeconfig, env=cache())
    found = Pushed(
        shop=shop,
        namespace=unused_namespace,
        registry=registry_server,
        api=cluster_with_controllers.api,
        folder=folder,
    )
    found.configure(memory="512Mi")
    yield found
    shop.scale("--destroy", "--data", "--yes")


def test_image_is_built_for_the_plan_and_pushed_before_it_is_carried_out(pushed: Pushed) -> None:
    """The plan pushes nothing; a second run neither; what pods do not read builds no other one."""
    plan = pushed.shop.scale("--plan")
    assert (3, []) == (plan.code, pushed.registry.requests), plan
    assert re.search(r"image of [\d.]+ MB: base 0.0 MB, dependencies [\d.]+ MB", plan.out)

    first = pushed.shop.scale()
    assert (0, "") == (first.code, first.err), first
    image = image_of(pushed.api, pushed.namespace)
    assert re.fullmatch(rf"{re.escape(pushed.repository)}@sha256:[0-9a-f]{{64}}", image)
    assert pushed.has(image)
    told = [line.strip() for line in first.out.splitlines()]
    order = [
        next(n for n, line in enumerate(told) if re.search(words, line))
        for words in ("create +Deployment/shop", "^pushed .*: 3 of 3 layers", "shop created")
    ]
    assert sorted(order) == order

    before = len(pushed.registry.requests)
    again = pushed.shop.scale()
    assert (0, "", before) == (again.code, again.err, len(pushed.registry.requests)), again

    pushed.configure(memory="640Mi")
    scaled = pushed.shop.scale()
    assert (0, before) == (scaled.code, len(pushed.registry.requests)), scaled
    assert image == image_of(pushed.api, pushed.namespace)


def test_watch_rolls_a_changed_source_out_and_survives_a_broken_one(pushed: Pushed) -> None:
    """Only the layer of the app is sent; what cannot be built is told, and the old one stays."""
    first = pushed.shop.scale()
    assert 0 == first.code, first
    before = image_of(pushed.api, pushed.namespace)
    with running_scale(
        pushed.shop.file, "--watch", kubeconfig=pushed.shop.kubeconfig, env=pushed.shop.env
    ) as watching:
        watching.wait_for("Deployment/shop: ready")
        write_code(pushed.folder, "good morning")
        watching.wait_for("pushed .*: 1 of 3 layers")
        told = len(watching.lines)
        watching.wait_for("Deployment/shop .*configured", after=told - 1)
        second = image_of(pushed.api, pushed.namespace)
        assert (True, True) == (second != before, pushed.has(second))

        (pushed.folder / "shop.jac").write_text("walker hi {")
        watching.wait_for("the last good configuration stays in force", after=told)
        assert second == image_of(pushed.api, pushed.namespace)

        told = len(watching.lines)
        (pushed.folder / "prices.jac").write_text("glob price: int = 3;\n")
        write_code(pushed.folder, "good night")
        watching.wait_for("pushed .*: 1 of 3 layers", after=told)
        watching.wait_for("Deployment/shop .*configured", after=told)
        assert image_of(pushed.api, pushed.namespace) not in {before, second}
        assert 0 == watching.end()


def test_registry_that_is_down_leaves_everything_as_it_is(pushed: Pushed) -> None:
    """The plan is shown, the error says what to check, and nothing was written."""
    pushed.registry.terminate()
    failed = pushed.shop.scale("--timeout", "8")
    assert 1 == failed.code, failed
    assert "check that the registry runs" in failed.out + failed.err
    namespaces = pushed.api.get("/api/v1/namespaces")["items"]
    assert pushed.namespace not in {it["metadata"]["name"] for it in namespaces}


def test_image_is_loaded_by_the_tool_of_a_local_cluster(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """By a name that is made of its content; what the cluster has is not read to it again."""
    folder, tools = tmp_path / "shop", tmp_path / "tools"
    file = write_code(folder, "hello")
    write_base(folder)
    (folder / "jac.toml").write_text(toml(unused_namespace))
    kubeconfig = renamed_context(cluster_with_controllers.kubeconfig, "kind-dev", tmp_path)
    bare = Shop(file=file, kubeconfig=kubeconfig, env={**cache(), "PATH": str(tools)})
    refused = bare.scale()
    assert (2, True) == (refused.code, "kind, which loads" in refused.one_message), refused
    assert [] == [
        word for word in ("https://kind.sigs.k8s.io", "or runtime") if word not in refused.err
    ]

    shop = Shop(file=file, kubeconfig=kubeconfig, env={**cache(), **install_tool(tools, "kind")})
    calls = tools / "calls.jsonl"
    plan = shop.scale("--plan")
    assert (3, False) == (plan.code, calls.exists()), plan
    done = shop.scale()
    assert (0, "") == (done.code, done.err), done
    for call in map(json.loads, calls.read_text().splitlines()):
        assert ["kind", "load", "image-archive"] == call[:3]
        assert ["--name", "dev"] == call[4:]
    image = image_of(cluster_with_controllers.api, unused_namespace)
    assert re.fullmatch(r"jac-converge\.local/shop:sha256-[0-9a-f]{16}", image)
    whole = layers_in(tools / "loaded.tar", image)
    assert all(whole.values())

    calls.unlink()
    assert (0, False) == (shop.scale().code, calls.exists())
    write_code(folder, "good morning")
    assert 0 == shop.scale().code
    image = image_of(cluster_with_controllers.api, unused_namespace)
    *below, changed = layers_in(tools / "loaded.tar", image).items()
    assert (False, True) == (any(there for _, there in below), changed[1])
    assert [*whole][:-1] == [layer for layer, _ in below]
    assert 1 == len(calls.read_text().splitlines())

    look_at_failures(shop, tools)
    assert image == image_of(cluster_with_controllers.api, unused_namespace)
    assert 0 == shop.scale("--destroy", "--data", "--yes").code


def look_at_failures(shop: Shop, tools: Path) -> None:
    """Have a tool fail, and hang: it is called once, and what it says is told."""
    calls = tools / "calls.jsonl"
    install_tool(tools, "kind", FAILS)
    write_code(shop.file.parent, "good bye")
    calls.unlink()
    failed = shop.scale()
    # Once: only what says that a layer is missing gets all of them.
    assert (1, 1) == (failed.code, len(calls.read_text().splitlines()))
    assert "kind ended with 1: ERROR: no nodes found" in failed.out + failed.err
    calls.unlink()
    interrupt(shop, tools)
    assert 1 == len(calls.read_text().splitlines())


def interrupt(shop: Shop, tools: Path) -> None:
    """End a load that hangs: its tool ends too, and what is said is what was going on."""
    install_tool(tools, "kind", HANGS)
    with running_scale(shop.file, kubeconfig=shop.kubeconfig, env=shop.env) as running:
        running.wait_for("loading .* into kind cluster dev")
        wait_until((tools / "pid").is_file, within=20, what="the tool")
        assert 1 == running.end()
    last = running.lines[-1]
    assert "shop stopped: interrupted while jac-converge.local/shop" in last, running.text
    assert "nothing was changed" in last
    wait_for_the_end_of_the_tool(tools)


def wait_for_the_end_of_the_tool(tools: Path) -> None:
    """Wait until the one that hangs is no process any more."""
    pid = (tools / "pid").read_text().strip()
    wait_until(lambda: not Path("/proc", pid).exists(), within=5, what="the end of the tool")


def test_build_that_is_interrupted_leaves_nothing_behind(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """The builder ends with us; it is said that nothing was changed."""
    folder, tools = tmp_path / "shop", tmp_path / "tools"
    file = write_code(folder, "hello")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    text = '[converge.kubernetes]\nnamespace = "{}"\nimage_build = {{ builder = "docker" }}\n'
    (folder / "jac.toml").write_text(text.format(unused_namespace))
    kubeconfig = renamed_context(cluster_with_controllers.kubeconfig, "kind-dev", tmp_path)
    install_tool(tools, "kind")
    env = install_tool(tools, "docker", HANGS)
    with running_scale(file, kubeconfig=kubeconfig, env=env) as running:
        wait_until((tools / "pid").is_file, within=20, what="the builder")
        assert 1 == running.end()
    said = "jac scale: interrupted while the image was built; nothing was changed"
    assert [said] == running.lines
    wait_for_the_end_of_the_tool(tools)


def layers_in(archive: Path, name: str) -> dict[str, bool]:
    """The layers of an image of that name, and whether they are in the archive."""
    with tarfile.open(archive) as tar:
        content = tar.extractfile("manifest.json")
        assert content
        (manifest,) = json.load(content)
        assert [name] == manifest["RepoTags"]
        return {layer: layer in tar.getnames() for layer in manifest["Layers"]}


def test_image_has_to_have_a_place(
    cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path
) -> None:
    """Where the cluster is none of this machine, and no registry is named: the ways that are."""
    file = write_code(tmp_path, "hello")
    (tmp_path / "jac.toml").write_text(f'[converge.kubernetes]\nnamespace = "{unused_namespace}"\n')
    shop = Shop(file=file, kubeconfig=cluster_with_controllers.kubeconfig, env=cache())
    done = shop.scale()
    assert 2 == done.code
    words = ["jac.toml", "converge.kubernetes.image", "image_build] repository", "--image"]
    assert [] == [word for word in words if word not in done.one_message]
    # An export asks no cluster, so it cannot know what to build for.
    assert "an export builds none" in shop.scale("--export", "-").one_message
