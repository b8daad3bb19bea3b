"""`@roles`: what an app may write, and what it costs to import."""

import subprocess
import sys

import pytest

from jac_converge.roles import ATTRIBUTE, roles


def test_roles_are_left_at_the_member() -> None:
    """For walkers and functions alike, which stay as they are."""

    def member() -> None: ...

    assert member is roles("admin", "editor")(member)
    assert ("admin", "editor") == getattr(member, ATTRIBUTE)


@pytest.mark.parametrize("names", [(), ("",), ("Admin",), ("a b",), ("guest",), ("ä",), (1,)])
def test_roles_that_are_none_are_refused(names: tuple[str, ...]) -> None:
    """While the app is loaded, and not when somebody calls."""
    with pytest.raises(ValueError, match="@roles: "):
        roles(*names)


def test_roles_import_nothing_of_weight() -> None:
    """Each process of an app imports them."""
    code = (
        "import sys, collections.abc; before = set(sys.modules); import jac_converge.roles; "
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["jac_converge", "jac_converge.roles"] == ran.stdout.split()
