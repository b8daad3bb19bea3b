"""The order of the tests of nodes: there is one machine at a time."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that start machines themselves.

    Behind the tests that share a cluster they would wait for its end, which waits for theirs.
    """
    items.sort(key=lambda item: item.path.name != "test_machine.py")
