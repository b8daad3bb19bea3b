"""What the user sees while the loop runs."""

import json
from io import StringIO
from typing import Any, Literal

import pytest

from jac_converge.reconciler.apply import Outcome, Result
from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.objects import ObjectKey
from jac_converge.reconciler.render import Heal, Row
from jac_converge.reconciler.steps import Create, Delete, Plan
from jac_converge.reconciler.views import REMEMBERED, JsonView, PlainView, TableView
from tests.unit.reconciler.live_objects import live, obj

type State = Literal["current", "progressing", "failed"]

HEAL = Heal(key=ObjectKey("Deployment", "shop"), what="args", who=None, at=None, seconds=0.01)


def row(state: State, sentence: str = "x", name: str = "shop") -> Row:
    """A row of the table."""
    health = Health(state=state, sentence=sentence)
    return Row(
        key=ObjectKey("Service", name), desired="80", live="81", health=health, healed="9 ms"
    )


def outcome() -> Outcome:
    """One create, one delete that failed."""
    create = Create(desired=obj("Deployment"))
    delete = Delete(live=live(obj("Service", "old")))
    results = (
        Result(step=create, at=1.0),
        Result(step=delete, at=1.0, error=Invalid("Service/old delete", "no")),
    )
    return Outcome(plan=Plan(steps=(create, delete)), results=results)


def events(out: StringIO) -> list[dict[str, Any]]:
    """Every JSON line."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


# Lines --------------------------------------------------------------------------------------------


def test_plain_view_tells_health_when_it_becomes_another() -> None:
    """Not on each pass."""
    out = StringIO()
    view = PlainView(out)
    for rows in (
        (row("progressing", "waiting"), row("current", name="b")),
        (row("progressing", "waiting"), row("current", name="b")),
        (row("current"), row("current", "other words", name="b")),
    ):
        view.show(rows)
    assert ["  Service/shop: waiting", "  Service/b: ready", "  Service/shop: ready"] == (
        out.getvalue().splitlines()
    )


def test_plain_view_tells_heals_in_their_own_words() -> None:
    """Other steps say what became of them, errors too."""
    out = StringIO()
    view = PlainView(out)
    view.applied(outcome(), (HEAL,))
    view.applied(outcome(), ())
    error = "Service/old delete failed (Invalid): no"
    assert [
        "Deployment/shop args healed in 10 ms",
        error,
        "Deployment/shop created",
        error,
    ] == out.getvalue().splitlines()


def test_plain_view_begins_each_line_with_its_stamp() -> None:
    """Such as the time of day."""
    out = StringIO()
    PlainView(out, stamp=lambda: "03:04:05 ").say("hello")
    assert "03:04:05 hello\n" == out.getvalue()


@pytest.mark.parametrize("kind", [PlainView, JsonView])
def test_view_says_a_message_once_until_something_was_written(kind: type[PlainView]) -> None:
    """After a write the same words are news again."""
    out = StringIO()
    view = kind(out)
    view.say("a")
    view.say("b")
    view.say("a")
    view.applied(outcome(), ())
    view.say("a")
    view.close()
    said = [line for line in out.getvalue().splitlines() if "Deployment" not in line]
    assert 3 == len([line for line in said if "Service" not in line])


def test_view_forgets_the_oldest_message_it_said() -> None:
    """A loop that runs for weeks must not remember all it ever said."""
    out = StringIO()
    view = PlainView(out)
    for number in range(REMEMBERED + 1):
        view.say(str(number))
    view.say(str(REMEMBERED))
    view.say("0")
    assert [str(REMEMBERED), "0"] == out.getvalue().splitlines()[-2:]
    assert REMEMBERED + 2 == len(out.getvalue().splitlines())


# JSON ---------------------------------------------------------------------------------------------


def test_json_view_tells_the_table_when_anything_in_it_changed() -> None:
    """The whole of it: a program needs no memory."""
    out = StringIO()
    view = JsonView(out)
    for rows in ((row("current"),), (row("current"),), (row("failed", "no endpoints"),)):
        view.show(rows)
    told = events(out)
    assert ["status", "status"] == [event["event"] for event in told]
    assert [["current"], ["failed"]] == [[o["health"] for o in e["objects"]] for e in told]


def test_json_view_tells_steps_and_heals() -> None:
    """With the same keys as a plan."""
    out = StringIO()
    JsonView(out).applied(outcome(), (HEAL,))
    (event,) = events(out)
    assert ["event", "steps", "heals"] == list(event)
    assert ["create", "delete"] == [step["verb"] for step in event["steps"]]
    assert [None, "Service/old delete failed (Invalid): no"] == [
        step["error"] for step in event["steps"]
    ]
    assert ["args"] == [heal["what"] for heal in event["heals"]]


def test_json_view_wraps_a_message() -> None:
    """Several lines are one event."""
    out = StringIO()
    JsonView(out).say("one\ntwo")
    assert [{"event": "message", "message": "one\ntwo"}] == events(out)


# The table ----------------------------------------------------------------------------------------


def test_table_view_shows_each_object_with_its_state() -> None:
    """The last table stays on the screen."""
    out = StringIO()
    view = TableView("shop", out)
    view.show((row("progressing", "waiting"), row("failed", "no endpoints", "b")))
    view.show((row("current"), row("failed", "no endpoints", "b")))
    view.close()
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["object", "desired", "live", "health", "last", "heal"] in lines
    assert ["Service/shop", "80", "81", "ready", "9", "ms"] in lines
    assert ["Service/b", "80", "81", "no", "endpoints", "9", "ms"] in lines


def test_table_view_takes_no_word_for_markup() -> None:
    """Brackets and colons are parts of names, images and contexts."""
    out = StringIO()
    view = TableView("shop on [bold]ctx[/bold] :100:", out)
    view.line("[red]Deployment/shop[/red] image :100:")
    view.show((row("failed", "[/] no :100:", "[link=x]y"),))
    view.close()
    told = out.getvalue()
    for words in (
        "shop on [bold]ctx[/bold] :100:",
        "[red]Deployment/shop[/red] image :100:",
        "[/] no :100:",
        "Service/[link=x]y",
    ):
        assert words in told


def test_table_view_says_a_message_above_the_table_once() -> None:
    """With the stamp of a line."""
    out = StringIO()
    view = TableView("shop", out, stamp=lambda: "03:04:05 ")
    view.say("hello")
    view.say("hello")
    view.close()
    assert 1 == out.getvalue().count("03:04:05 hello")


def test_json_view_names_its_app() -> None:
    """In each line, where there are many apps."""
    out = StringIO()
    JsonView(out, fields={"app": "shop", "namespace": "prod"}).say("hi")
    expected = '{"event": "message", "app": "shop", "namespace": "prod", "message": "hi"}\n'
    assert expected == out.getvalue()
