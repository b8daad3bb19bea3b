"""Releases as a user meets them: recorded, listed, restored; on a real control plane."""

import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from jac_converge.reconciler.ownership import labels_of
from tests.cluster.foreign_edits import path_of
from tests.e2e.scale_command import Done, run_scale, running_scale, write_app
from tests.e2e.test_scale import versions
from tests.servers.api import ApiFailed
from tests.servers.control_plane import ControlPlane
from tests.servers.process import wait_until

UNPULLABLE = "registry.invalid/shop:2"
SECRET = "a-secret-of-the-user"


class Shop:
    """An app in a namespace of its own, edited and deployed by its user."""

    def __init__(self, server: ControlPlane, namespace: str, folder: Path) -> None:
        self.kubeconfig, self.api, self.namespace = server.kubeconfig, server.api, namespace
        self._folder = folder
        self.file = self.write()

    def write(
        self, image: str = "example/shop:1", *, env: str = "1", secret: str = SECRET, more: str = ""
    ) -> Path:
        """Save jac.toml."""
        toml = (
            f'[converge.kubernetes]\nnamespace = "{self.namespace}"\nimage = "{image}"\n{more}\n'
            f'[converge.kubernetes.env]\nA = "{env}"\n'
            "[converge.kubernetes.redis]\nenabled = false\n"
            '[converge.database]\nmongodb_uri = "mongodb://elsewhere/shop"\n'
            f'[converge.secrets]\nMAIL = "{secret}"\n'
        )
        return write_app(self._folder, toml)

    def scale(self, *flags: str) -> Done:
        """Run the command."""
        return run_scale(self.file, *flags, kubeconfig=self.kubeconfig)

    def releases(self) -> list[dict[str, Any]]:
        """Read what `--history` lists."""
        done = self.scale("--history", "--json")
        assert (0, "") == (done.code, done.err)
        listed = json.loads(done.out)["releases"]
        assert isinstance(listed, list)
        return listed

    def outcomes(self) -> list[tuple[int, str, str]]:
        """Number, image and outcome of each."""
        return [(r["number"], r["image"], r["outcome"]) for r in self.releases()]

    def live(self, kind: str, name: str = "shop") -> dict[str, Any]:
        """One object as it is."""
        return self.api.get(path_of(kind, self.namespace, name))

    @property
    def image(self) -> str:
        """What the live Deployment runs."""
        template = self.live("Deployment")["spec"]["template"]
        return str(template["spec"]["containers"][0]["image"])


@pytest.fixture
def shop(cluster_with_controllers: ControlPlane, unused_namespace: str, tmp_path: Path) -> Shop:
    """An app that is not deployed yet."""
    return Shop(cluster_with_controllers, unused_namespace, tmp_path)


def test_history_lists_each_release_and_no_secret(shop: Shop) -> None:
    """A new template is a release, more pods are none, and a failed one tells why."""
    none = shop.scale("--history")
    assert (0, f"no release of shop is recorded in namespace {shop.namespace}\n") == (
        none.code,
        none.out,
    )
    assert 0 == shop.scale().code
    shop.write(env="2")
    assert 0 == shop.scale().code
    shop.write(env="2", more="replicas = 2")
    assert 0 == shop.scale().code
    shop.write(UNPULLABLE, env="2")
    assert 1 == shop.scale().code
    first, second = "example/shop:1", UNPULLABLE
    expected = [(1, first, "healthy"), (2, first, "healthy"), (3, second, "failed")]
    assert expected == shop.outcomes()
    failed = shop.releases()[-1]
    assert ("ImagePullBackOff" in failed["reason"], True) == (True, "@" in failed["who"])
    assert UNPULLABLE in shop.scale("--history").out.splitlines()[0]
    record = shop.live("ConfigMap", "shop-releases")["binaryData"]["releases.json.gz"]
    text = gzip.decompress(base64.b64decode(record)).decode()
    assert (True, False) == ("MAIL" in text, SECRET in text)


def test_history_is_not_written_twice_and_goes_with_the_app(shop: Shop) -> None:
    """The second run leaves it as it is; a destroy deletes it."""
    assert 0 == shop.scale().code
    before = shop.live("ConfigMap", "shop-releases")
    assert (0, True) == ((again := shop.scale()).code, "nothing to do" in again.out)
    assert before == shop.live("ConfigMap", "shop-releases")
    shop.write(more="replicas = 2")
    assert 0 == shop.scale().code
    assert before == shop.live("ConfigMap", "shop-releases")
    assert 0 == shop.scale("--destroy", "--yes").code
    with pytest.raises(ApiFailed, match="404"):
        shop.live("ConfigMap", "shop-releases")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        pytest.param(UNPULLABLE, "ImagePullBackOff: Back-off pulling image", id="no image"),
        pytest.param(
            "crashing.invalid/shop:2",
            "CrashLoopBackOff: exit code 1: starting KeyError: 'MAIL'",
            id="crash, with the last lines of its log",
        ),
        pytest.param(
            "unconfigured.invalid/shop:2",
            'CreateContainerConfigError: secret "x" not found',
            id="missing secret",
        ),
    ],
)
def test_rollout_fails_at_once_where_waiting_cannot_help(
    shop: Shop, image: str, reason: str
) -> None:
    """Far before any time limit, with the cause in the one message."""
    shop.write(image)
    done = shop.scale("--timeout", "290")
    assert (1, True) == (done.code, reason in done.one_message), done.err


def test_rollout_fails_at_once_where_a_quota_forbids_the_pod(shop: Shop) -> None:
    """There is no pod to blame: the Deployment's own condition tells."""
    assert 0 == shop.scale().code
    quotas = f"/api/v1/namespaces/{shop.namespace}/resourcequotas"
    meta = {"name": "one-pod"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta}
    shop.api.post(quotas, {**quota, "spec": {"hard": {"pods": "1"}}})
    wait_until(
        lambda: "used" in shop.api.get(f"{quotas}/one-pod").get("status", {}),
        within=20,
        what="the quota's controller",
    )
    shop.write("example/shop:2")
    done = shop.scale("--timeout", "290")
    assert (1, True) == (done.code, "exceeded quota: one-pod" in done.one_message), done.err


def test_failed_rollout_returns_to_the_last_good_release(shop: Shop) -> None:
    """Exit code 1, cause and cure in one message; a second run writes nothing and repeats it."""
    assert 0 == shop.scale().code
    before = shop.live("Deployment")
    shop.write(UNPULLABLE, env="2", more="replicas = 2")
    done = shop.scale()
    words = ["release 2 (registry.invalid/shop:2) failed", "ImagePullBackOff", "restored"]
    assert (1, []) == (done.code, [word for word in words if word not in done.one_message])
    assert "release 1 (example/shop:1) was restored" in done.one_message
    after = shop.live("Deployment")
    assert before["spec"]["template"] == after["spec"]["template"]
    assert (2, "1") == (
        after["spec"]["replicas"],
        shop.live("ConfigMap", "shop-config")["data"]["A"],
    )
    written = versions(shop.api, shop.namespace)
    again = shop.scale()
    assert (1, True) == (again.code, "release 1 (example/shop:1) was restored" in again.one_message)
    assert (0, True) == ((plan := shop.scale("--plan")).code, "nothing to do" in plan.out)
    assert written == versions(shop.api, shop.namespace)
    shop.write("example/shop:3")
    assert (0, "example/shop:3") == (shop.scale().code, shop.image)
    expected = [
        (1, "example/shop:1", "healthy"),
        (2, UNPULLABLE, "failed"),
        (3, "example/shop:3", "healthy"),
    ]
    assert expected == shop.outcomes()


def test_failed_rollout_stays_where_rollback_is_off(shop: Shop) -> None:
    """Whoever wants to look at the broken pods."""
    assert 0 == shop.scale().code
    shop.write(UNPULLABLE, more="rollback = false")
    assert (1, UNPULLABLE) == (shop.scale().code, shop.image)


def test_failed_rollout_says_why_it_cannot_return(shop: Shop) -> None:
    """The secret of the last good release is not kept anywhere."""
    assert 0 == shop.scale().code
    shop.write(UNPULLABLE, secret="another")
    done = shop.scale()
    assert (1, UNPULLABLE) == (done.code, shop.image)
    assert "release 1 (example/shop:1) cannot be restored, because MAIL had another" in done.out


def test_watch_returns_too_and_keeps_to_it_when_started_again(shop: Shop) -> None:
    """The pin is in the cluster: no heal, no new process, no deleted record forgets it."""
    with running_scale(shop.file, "--watch", kubeconfig=shop.kubeconfig) as watching:
        watching.wait_for("Deployment/shop: ready")
        shop.write(UNPULLABLE)
        watching.wait_for(r"release 1 \(example/shop:1\) was restored")
        wait_until(lambda: shop.image == "example/shop:1", within=20, what="the return")
        before = shop.live("ConfigMap", "shop-releases")["binaryData"]
        shop.api.delete(path_of("ConfigMap", shop.namespace, "shop-releases"))
        there = path_of("ConfigMap", shop.namespace)
        wait_until(lambda: "shop-releases" in str(shop.api.get(there)), within=20, what="a record")
        assert before == shop.live("ConfigMap", "shop-releases")["binaryData"]
        assert 0 == watching.end()
    with running_scale(shop.file, "--watch", kubeconfig=shop.kubeconfig) as again:
        again.wait_for("Deployment/shop: ready")
        again.wait_for(r"release 1 \(example/shop:1\) was restored")
        edit = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 99}}}}
        shop.api.patch(path_of("Deployment", shop.namespace, "shop"), edit)
        again.wait_for(r"Deployment/shop .*terminationGracePeriodSeconds.* healed")
        assert "example/shop:1" == shop.image
        assert 1 == sum("was restored" in line for line in again.lines), again.text
        seen = len(again.lines)
        shop.write("example/shop:3")
        again.wait_for(r"Deployment/shop configured: .*example/shop:3", after=seen)
        wait_until(lambda: len(shop.outcomes()) == 3, within=40, what="the third release")
        assert 0 == again.end()


def test_rollout_tells_what_the_scheduler_says(shop: Shop) -> None:
    """A node may join, so it is waited for; the reason stands in the message all the same."""
    shop.write(more='cpu_request = "9999"')
    done = shop.scale("--timeout", "5")
    assert (1, True) == (done.code, "Insufficient cpu" in done.one_message), done.err


def test_rollback_restores_the_release_before_and_pins_it(shop: Shop) -> None:
    """Template and environment; a second run keeps to it and writes nothing; an edit ends it."""
    assert 0 == shop.scale().code
    shop.write("example/shop:2", env="2")
    assert 0 == shop.scale().code
    back = shop.scale("--rollback")
    assert (0, "", "example/shop:1") == (back.code, back.err, shop.image)
    assert "1" == shop.live("ConfigMap", "shop-config")["data"]["A"]
    written = versions(shop.api, shop.namespace)
    again = shop.scale()
    assert (0, True) == (again.code, "release 1 (example/shop:1) is pinned" in again.out)
    assert written == versions(shop.api, shop.namespace)
    assert [False, True] == [r["pinned"] for r in reversed(shop.releases())]
    shop.write("example/shop:3")
    assert (0, "example/shop:3") == (shop.scale().code, shop.image)
    third = shop.scale("--rollback", "--release", "2", "--json")
    assert (0, "example/shop:2") == (third.code, shop.image), third.out
    ended = shop.scale("--rollback", "--release", "3")
    assert (0, "example/shop:3") == (ended.code, shop.image)


def test_rollback_tries_again_what_failed(shop: Shop) -> None:
    """Where the cause was not in jac.toml, nothing in jac.toml has to change."""
    assert 0 == shop.scale().code
    shop.write(UNPULLABLE)
    assert (1, "example/shop:1") == (shop.scale().code, shop.image)
    again = shop.scale("--rollback", "--release", "2")
    assert (1, "example/shop:1") == (again.code, shop.image)
    assert "release 2 (registry.invalid/shop:2) failed" in again.one_message
    assert "Deployment/shop configured: spec.template.spec.containers[app].image" in again.out


@pytest.mark.parametrize(
    ("flags", "code", "reason"),
    [
        pytest.param(["--rollback"], 1, "no healthy release came before", id="nothing before"),
        pytest.param(["--rollback", "--release", "9"], 1, "no such release, but 1", id="no such"),
        pytest.param(["--release", "1"], 2, "--release names what --rollback", id="alone"),
        pytest.param(["--rollback", "--plan"], 2, "do not go together", id="with a plan"),
    ],
)
def test_rollback_refuses_what_it_cannot_do(
    shop: Shop, flags: list[str], code: int, reason: str
) -> None:
    """One message, and nothing written."""
    assert 0 == shop.scale().code
    before = versions(shop.api, shop.namespace)
    done = shop.scale(*flags)
    assert (code, True) == (done.code, reason in done.one_message), done.err
    assert before == versions(shop.api, shop.namespace)


def test_rollback_does_what_a_dead_watch_would_have_done(shop: Shop) -> None:
    """Its lease has not expired yet, and says that somebody keeps the app converged."""
    assert 0 == shop.scale().code
    shop.write("example/shop:2")
    assert 0 == shop.scale().code
    head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    metadata = {"name": "shop-writer", "labels": labels_of("shop", "reconciler")}
    spec = {"holderIdentity": "killed@somewhere:1", "leaseDurationSeconds": 2}
    path = f"/apis/coordination.k8s.io/v1/namespaces/{shop.namespace}/leases"
    shop.api.post(path, {**head, "metadata": metadata, "spec": spec})
    back = shop.scale("--rollback", "--timeout", "30")
    assert (0, "", "example/shop:1") == (back.code, back.err, shop.image)


TURNED_AWAY = """
import sys
from jac_converge.__main__ import main
from jac_converge.reconciler.errors import Throttled
from jac_converge.reconciler.kube_cluster import KubeCluster
get, left = KubeCluster.get, ["once"]
def turn_away(self, kind, name):
    if kind.name == "Lease" and left:
        left.pop()
        raise Throttled("Lease/shop-writer get", "too many requests", 1.0)
    return get(self, kind, name)
KubeCluster.get = turn_away
sys.exit(main(sys.argv[1:]))
"""


def test_rollback_asks_again_for_a_lease_that_a_busy_server_did_not_give(shop: Shop) -> None:
    """The record says by then that it is restored: nobody would have done it."""
    assert 0 == shop.scale().code
    shop.write("example/shop:2")
    assert 0 == shop.scale().code
    command = (sys.executable, "-c", TURNED_AWAY, "scale")
    back = run_scale(shop.file, "--rollback", kubeconfig=shop.kubeconfig, command=command)
    assert (0, "", "example/shop:1") == (back.code, back.err, shop.image)


def test_rollback_works_under_a_running_watch(shop: Shop) -> None:
    """The watch does the restoring, at once, and goes on healing what was restored."""
    assert 0 == shop.scale().code
    shop.write("example/shop:2")
    with running_scale(shop.file, "--watch", kubeconfig=shop.kubeconfig) as watching:
        wait_until(lambda: len(shop.outcomes()) == 2, within=40, what="the second release")
        back = shop.scale("--rollback")
        assert (0, "", "example/shop:1") == (back.code, back.err, shop.image)
        watching.wait_for(r"release 1 \(example/shop:1\) is pinned")
        assert 0 == watching.end()
