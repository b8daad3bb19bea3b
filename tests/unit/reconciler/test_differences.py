"""What differs between two descriptions of one object."""

from jac_converge.reconciler.differences import Change, changes_between


def test_changes_between_tells_each_field_once() -> None:
    """Named list items are compared by name, others as a whole; bookkeeping is left out."""
    before = {
        "metadata": {"resourceVersion": "1", "labels": {"a": "1"}},
        "spec": {"args": ["x"], "containers": [{"name": "web", "image": "a"}, {"name": "spy"}]},
        "status": {"phase": "x"},
    }
    after = {
        "metadata": {"resourceVersion": "2", "labels": {"a": "2"}},
        "spec": {"args": ["y"], "containers": [{"name": "web", "image": "b"}]},
    }
    assert (
        Change(path="metadata.labels.a", before="1", after="2"),
        Change(path="spec.args", before=["x"], after=["y"]),
        Change(path="spec.containers[web].image", before="a", after="b"),
        Change(path="spec.containers[spy]", before={"name": "spy"}, after=None),
    ) == changes_between(before, after)


def test_changes_between_tells_an_order() -> None:
    """The same items in another order differ: init containers run in theirs."""
    before = {"spec": {"initContainers": [{"name": "a"}, {"name": "b"}]}}
    after = {"spec": {"initContainers": [{"name": "b"}, {"name": "a"}]}}
    assert (
        Change(path="spec.initContainers", before=["a", "b"], after=["b", "a"]),
    ) == changes_between(before, after)


def test_changes_between_leaves_out_how_often_a_deployment_rolled_out() -> None:
    """Its controller counts, at any time; other annotations are compared."""
    counted = {"deployment.kubernetes.io/revision": "2"}
    before = {"metadata": {"name": "shop"}}
    assert () == changes_between(before, {"metadata": {"name": "shop", "annotations": counted}})
    after = {"metadata": {"name": "shop", "annotations": {**counted, "a": "1"}}}
    assert (Change(path="metadata.annotations", before=None, after={"a": "1"}),) == (
        changes_between(before, after)
    )
