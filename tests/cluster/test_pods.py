"""Logs, ports and shells of pods through a real API server, from a stand-in for their kubelet."""

import io
import json
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest

from jac_converge.reconciler.commands.logs import Follower, Printer
from jac_converge.reconciler.kube_cluster import KubeCluster
from jac_converge.reconciler.ownership import labels_of
from jac_converge.reconciler.pod_log import LogLine, PodLog
from tests.cluster.test_kube_cluster import open_cluster
from tests.e2e.scale_command import run_scale, running_scale, scale_at_terminal, write_app
from tests.servers.control_plane import ControlPlane
from tests.servers.kubelet_stand_in import KubeletStandIn
from tests.servers.process import wait_until

FIRST, SECOND, THIRD = (f"2026-01-01T00:00:0{n // 2}.{n}00000000Z" for n in (1, 2, 3))


@pytest.fixture(scope="module")
def kubelet(control_plane: ControlPlane) -> Iterator[tuple[KubeletStandIn, str]]:
    """Give a kubelet, and the name of its node."""
    name = f"node-{secrets.token_hex(4)}"
    with KubeletStandIn() as stand_in:
        control_plane.api.post("/api/v1/nodes", stand_in.node(name))
        yield stand_in, name
        control_plane.api.delete(f"/api/v1/nodes/{name}", {})


class Shop:
    """Pods of an app in a namespace of its own."""

    def __init__(
        self, server: ControlPlane, namespace: str, kubelet: KubeletStandIn, node: str
    ) -> None:
        """Have none."""
        self.api, self.namespace, self.kubelet = server.api, namespace, kubelet
        self.kubeconfig = server.kubeconfig
        self.cluster: KubeCluster = open_cluster(server, namespace)
        self._node = node
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shop"}}
        self.api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)

    def add(self, component: str = "app") -> str:
        """Add a pod, and return its name."""
        name = f"shop-{secrets.token_hex(4)}"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels_of("shop", component)},
            "spec": {
                "nodeName": self._node,
                "serviceAccountName": "shop",
                "containers": [{"name": "app", "image": "shop:1"}],
            },
        }
        self.api.post(f"/api/v1/namespaces/{self.namespace}/pods", pod)
        return name

    def make_ready(self, pod: str) -> None:
        """Let a pod take requests."""
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/status"
        self.api.patch(path, {"status": status})


@pytest.fixture
def shop(control_plane: ControlPlane, namespace: str, kubelet: tuple[KubeletStandIn, str]) -> Shop:
    """Give an app without pods."""
    return Shop(control_plane, namespace, *kubelet)


def test_logs_of_all_pods_come_in_order_of_time(shop: Shop, tmp_path: Path) -> None:
    """Merged; those of the stores are left out; a program gets JSON."""
    one, other, store = shop.add(), shop.add(), shop.add("redis")
    shop.kubelet.write(one, f"{FIRST} starts", f"{THIRD} \x1b[31mserves\x1b[0m")
    shop.kubelet.write(other, f"{SECOND} starts too")
    shop.kubelet.write(store, f"{SECOND} is a store")
    file = write_app(tmp_path, f'[converge.kubernetes]\nnamespace = "{shop.namespace}"\n')
    done = run_scale(file, "--logs", kubeconfig=shop.kubeconfig)
    expected = f"{one} | starts\n{other} | starts too\n{one} | \x1b[31mserves\x1b[0m\n"
    assert (0, expected, "") == (done.code, done.out, done.err)
    done = run_scale(file, "--logs", "--json", kubeconfig=shop.kubeconfig)
    told = [json.loads(line) for line in done.out.splitlines()]
    assert {"event": "log", "pod": other, "at": SECOND, "line": "starts too"} == told[1]


def test_logs_of_an_app_without_pods_say_what_to_do(shop: Shop, tmp_path: Path) -> None:
    """Each of the three commands, with one message."""
    file = write_app(tmp_path, f'[converge.kubernetes]\nnamespace = "{shop.namespace}"\n')
    for flag in ("--logs", "--open"):
        done = run_scale(file, flag, kubeconfig=shop.kubeconfig)
        assert (1, "") == (done.code, done.out)
        assert "it has no pods; deploy it: jac scale shop.jac" in done.one_message
    done = run_scale(file, "--shell", kubeconfig=shop.kubeconfig)
    assert 2 == done.code
    assert "--shell is for a terminal" in done.one_message
    shop.add()
    done = run_scale(file, "--open", kubeconfig=shop.kubeconfig)
    assert 1 == done.code
    assert "none of its 1 pods is ready" in done.one_message


def test_log_goes_on_where_it_broke(shop: Shop) -> None:
    """It asks for whole seconds, and gives no line twice."""
    pod = shop.add()
    shop.kubelet.write(pod, f"{FIRST} a", f"{SECOND} b")
    log = PodLog(shop.cluster, pod, tail=2)
    assert ["a", "b"] == [line.text for line in log.read()]
    shop.kubelet.write(pod, f"{THIRD} c")
    assert ["c"] == [line.text for line in log.read()]
    asked = [query for name, query in shop.kubelet.asked if name == pod]
    assert [["2"], None] == [query.get("tailLines") for query in asked]


def test_follow_outlives_broken_connections_and_takes_new_pods(shop: Shop) -> None:
    """Each line once, from both pods, until it is ended."""
    one = shop.add()
    shop.kubelet.write(one, f"{FIRST} a")
    out, stop, said = io.StringIO(), Event(), list[str]()
    follower = Follower(shop.cluster, Printer(out), stop, say=said.append)
    thread = Thread(target=follower.follow, name="follower")
    thread.start()
    try:
        wait_until(lambda: "| a" in out.getvalue(), within=20, what="the first line")
        shop.kubelet.break_all()
        shop.kubelet.write(one, f"{SECOND} b")
        wait_until(lambda: "| b" in out.getvalue(), within=20, what="a line after the break")
        other = shop.add()
        shop.kubelet.write(other, f"{THIRD} c")
        wait_until(lambda: "| c" in out.getvalue(), within=20, what="a line of the new pod")
    finally:
        stop.set()
        thread.join(10)
    assert f"{one} | a\n{one} | b\n{other} | c\n" == out.getvalue()
    assert ([], False) == (said, thread.is_alive())


def test_follow_ends_by_a_signal_with_exit_code_0(shop: Shop, tmp_path: Path) -> None:
    """As somebody would end it who has seen enough."""
    pod = shop.add()
    shop.kubelet.write(pod, f"{FIRST} a")
    file = write_app(tmp_path, f'[converge.kubernetes]\nnamespace = "{shop.namespace}"\n')
    with running_scale(file, "--logs", "-f", kubeconfig=shop.kubeconfig) as following:
        following.wait_for(re.escape(f"{pod} | a"))
        assert 0 == following.end()


def test_open_leads_a_port_of_this_machine_to_a_ready_pod(shop: Shop, tmp_path: Path) -> None:
    """Each connection to one; what is said goes both ways, and the first word is no channel's."""
    shop.add()
    shop.make_ready(shop.add())
    file = write_app(tmp_path, f'[converge.kubernetes]\nnamespace = "{shop.namespace}"\n')
    with running_scale(file, "--open", "--json", kubeconfig=shop.kubeconfig) as opened:
        url = urlsplit(json.loads(opened.wait_for("url"))["url"])
        assert ("127.0.0.1", "/docs") == (url.hostname, url.path)
        assert url.port
        for word in (b"hello", b"x" * 300_000):
            with socket.create_connection(("127.0.0.1", url.port), timeout=20) as connection:
                connection.sendall(word)
                assert word.upper() == connection.makefile("rb").read(len(word))
        assert 0 == opened.end()


def test_shell_passes_keys_and_the_size_of_the_terminal_on(shop: Shop, tmp_path: Path) -> None:
    """Until it exits."""
    shop.make_ready(shop.add())
    file = write_app(tmp_path, f'[converge.kubernetes]\nnamespace = "{shop.namespace}"\n')
    shown = scale_at_terminal(
        *(file, "--shell"),
        kubeconfig=shop.kubeconfig,
        answers={'"Height": 30': "hello\r", "HELLO": "exit\r"},
    )
    assert 'size {"Width": 100, "Height": 30}' in shown
    assert "EXIT" in shown
    assert "jac scale:" not in shown


def test_printer_gives_each_pod_a_colour_and_commands_no_terminal() -> None:
    """The colour of a pod stays its own; what a line would command is spelled out."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    printer = Printer(out, colours=True)
    for pod, text in (("a", "one"), ("b", "\x1b[2Jtwo\ttabs"), ("a", "three")):
        assert printer.print(LogLine(pod=pod, at=FIRST, text=text))
    lines = out.getvalue().splitlines()
    assert "\x1b[36ma |\x1b[0m one" == lines[0]
    assert "\x1b[33mb |\x1b[0m \\x1b[2Jtwo\ttabs" == lines[1]
    assert "\x1b[36ma |\x1b[0m three" == lines[2]
