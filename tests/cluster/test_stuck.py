"""Deletions that do not end, on a real API server."""

from pathlib import Path

from tests.cluster.foreign_edits import path_of
from tests.cluster.running_loop import running_loop, wait_until, write_app
from tests.servers.control_plane import ControlPlane

TOML = (
    '[converge.kubernetes]\nnamespace = "{namespace}"\nimage = "example/shop:1"\n'
    "redis.enabled = false\nmongodb.enabled = false\n"
)
FINALIZER = "test.example/stay"


def test_loop_keeps_the_rest_while_a_finalizer_holds_an_object(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """It is named and left alone, with its finalizer; it comes back once whoever set that is done.

    Nothing is written to it meanwhile, and nothing waits for it.
    """
    api, file = control_plane.api, write_app(tmp_path, TOML.format(namespace=namespace))
    service, config = (
        path_of(*it) for it in (("Service", namespace, "shop"), ("ConfigMap", namespace))
    )
    with running_loop(file, control_plane.kubeconfig) as running:
        wait_until(lambda: "Deployment/shop" in {str(row.key) for row in running.view.rows}, 60)
        wait_until(lambda: "shop-config" in str(api.get(config)))
        api.patch(service, {"metadata": {"finalizers": [FINALIZER]}})
        held = api.get(service)
        api.delete(service)
        told = f"Service/shop: it is being deleted (finalizers: {FINALIZER})"
        wait_until(lambda: told in running.view.screen.getvalue())
        leaving = api.get(service)
        for _ in range(2):
            api.delete(f"{config}/shop-config")
            wait_until(lambda: "shop-config" in str(api.get(config)))
        assert leaving == api.get(service)
        api.patch(service, {"metadata": {"finalizers": None}})
        wait_until(
            lambda: held["metadata"]["uid"] not in str(api.get(path_of("Service", namespace)))
        )
        wait_until(lambda: "shop" in str(api.get(path_of("Service", namespace))["items"]))
    assert 1 == running.view.screen.getvalue().count(told)
