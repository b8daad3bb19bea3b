"""One watch, many apps: who gets what."""

import time

import pytest

from jac_converge.reconciler.errors import Refused
from jac_converge.reconciler.mirror import Mirror
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.ownership import labels_of
from jac_converge.reconciler.routing import Router
from jac_converge.reconciler.trigger import Trigger

SERVICE = ObjectKey("Service", "web")


def service(app: str, namespace: str = "prod", *, version: str = "1") -> Object:
    """A Service called `web`."""
    metadata = {"name": "web", "namespace": namespace, "uid": "u", "resourceVersion": version}
    return {"kind": "Service", "metadata": {**metadata, "labels": labels_of(app, "app")}}


def space(name: str) -> Object:
    """A Namespace without a label of ours."""
    return {"kind": "Namespace", "metadata": {"name": name, "uid": name, "resourceVersion": "1"}}


class Seat:
    """One app at the router."""

    def __init__(self, router: Router, app: str, namespace: str = "prod") -> None:
        self.mirror = Mirror(["Service", "Namespace"], time.monotonic)
        self.trigger = Trigger(time.monotonic)
        router.join(namespace, app, self.mirror, self.trigger)
        # It was asked for a first pass; from now on only what comes counts.
        self.trigger.wait()

    @property
    def keys(self) -> set[ObjectKey]:
        """What it knows of."""
        return set(self.mirror.snapshot())

    @property
    def causes(self) -> frozenset[str]:
        """Why it was poked since."""
        self.trigger.poke("asked")
        return self.trigger.wait() - {"asked"}


def test_router_gives_each_app_its_own_objects() -> None:
    """By label and namespace; nobody is poked for what is another's."""
    router = Router()
    shop, blog, abroad = Seat(router, "shop"), Seat(router, "blog"), Seat(router, "shop", "dev")
    router.put(service("shop"))
    assert [{SERVICE}, set(), set()] == [shop.keys, blog.keys, abroad.keys]
    assert [frozenset({"content"}), frozenset(), frozenset()] == [
        seat.causes for seat in (shop, blog, abroad)
    ]


def test_router_shares_a_list_and_syncs_everybody() -> None:
    """An empty share is complete too."""
    router = Router()
    shop, blog = Seat(router, "shop"), Seat(router, "blog")
    router.replace("Service", [service("shop")])
    router.replace("Namespace", [space("prod"), space("dev")])
    assert [True, True] == [shop.mirror.synced, blog.mirror.synced]
    prod = ObjectKey("Namespace", "prod")
    assert [{SERVICE, prod}, {prod}] == [shop.keys, blog.keys]
    router.replace("Service", [])
    assert {prod} == shop.keys


def test_router_tells_who_comes_late_what_was_seen() -> None:
    """As complete as a list of its own, and what is refused too."""
    router = Router()
    router.replace("Service", [service("shop"), service("shop", "dev")])
    router.replace("Namespace", [space("prod")])
    router.block("Job", Refused("jobs list", "no"))
    shop = Seat(router, "shop")
    assert {SERVICE, ObjectKey("Namespace", "prod")} == shop.keys
    assert (True, ["Job"]) == (shop.mirror.synced, list(shop.mirror.blocked))


def test_router_takes_a_relabelled_object_from_its_former_app() -> None:
    """To that one it is gone, as it would be with a selector of its own."""
    router = Router()
    shop, blog = Seat(router, "shop"), Seat(router, "blog")
    router.put(service("shop"))
    router.put(service("blog", version="2"))
    assert [set(), {SERVICE}] == [shop.keys, blog.keys]


@pytest.mark.parametrize("label", ["shop", "blog"], ids=["as it was", "relabelled in passing"])
def test_router_tells_a_deletion_to_the_app_that_had_it(label: str) -> None:
    """Whatever its labels say in the end."""
    router = Router()
    shop = Seat(router, "shop")
    router.put(service("shop"))
    router.drop(service(label, version="2"))
    assert (set(), frozenset({"content"})) == (shop.keys, shop.causes)


def test_router_forgets_an_app_that_left() -> None:
    """It is neither fed nor poked."""
    router = Router()
    shop = Seat(router, "shop")
    router.leave("prod", "shop")
    router.put(service("shop"))
    router.poke("woke")
    assert (set(), frozenset()) == (shop.keys, shop.causes)


def test_router_pokes_everybody_when_it_concerns_the_server() -> None:
    """Reachable again, or blocked."""
    router = Router()
    seats = Seat(router, "shop"), Seat(router, "shop", "dev")
    router.poke("reachable")
    assert [frozenset({"reachable"})] * 2 == [seat.causes for seat in seats]
