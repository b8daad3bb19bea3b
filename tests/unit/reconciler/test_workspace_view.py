"""The table of many apps."""

import pytest

from jac_converge.reconciler.workspace_view import WorkspaceTable
from tests.unit.reconciler.test_views import row


def test_workspace_table_has_a_line_for_an_app_that_is_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And every object of one that is not."""
    monkeypatch.setenv("COLUMNS", "200")
    table = WorkspaceTable("apps/")
    table.section("shop").show((row("current"), row("current", name="b")))
    table.section("blog").show((row("failed", "no image", name="x"), row("current", name="y")))
    table.section("blog").say("something [happened]")
    table.refresh()
    table.close()
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "blog: something [happened]" in lines
    assert {
        "shop 2 objects ready Service/b: 9 ms",
        "blog Service/x 80 81 no image 9 ms",
        "blog Service/y 80 81 ready 9 ms",
    } <= set(lines)
