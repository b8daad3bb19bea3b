"""Lines of `[converge.watch] ignore`: their spelling, and what they speak of."""

import pytest

from jac_converge.config.ignore import IgnoreRule, parse_rule


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "Deployment/shop:spec.replicas",
            IgnoreRule(kind="Deployment", name="shop", path="spec.replicas"),
            id="one field",
        ),
        pytest.param(
            " */*:metadata.annotations  manager=vpa-* ",
            IgnoreRule(kind="*", name="*", path="metadata.annotations", manager="vpa-*"),
            id="every object, one manager",
        ),
        pytest.param(
            "Service/shop-*:spec.ports[80,TCP]",
            IgnoreRule(kind="Service", name="shop-*", path="spec.ports[80,TCP]"),
            id="an item by its keys",
        ),
    ],
)
def test_rule_is_read(text: str, expected: IgnoreRule) -> None:
    """As the drift output spells it, so that it can be copied."""
    assert expected == parse_rule(text)
    assert expected == parse_rule(str(expected))


@pytest.mark.parametrize(
    "text",
    ["", "spec.replicas", "Deployment/shop", "deployment/shop:spec", "Deployment/shop:spec x=y"],
)
def test_rule_that_is_none_says_what_one_is(text: str) -> None:
    """A line that does nothing would be worse than an error."""
    with pytest.raises(ValueError, match='must be "Kind/name:field'):
        parse_rule(text)


def test_rule_about_a_field_that_is_never_compared_is_refused() -> None:
    """A status is nobody's drift."""
    with pytest.raises(ValueError, match="must name a field below one of"):
        parse_rule("Deployment/shop:status.replicas")


@pytest.mark.parametrize(
    ("path", "covered"),
    [
        ("spec.ports", True),
        ("spec.ports[80,TCP].port", True),
        ("spec.ports.x", True),
        ("spec.portsx", False),
        ("spec", False),
    ],
)
def test_rule_covers_a_field_and_all_below_it(path: str, *, covered: bool) -> None:
    """Not one that only begins with the same letters."""
    assert covered is parse_rule("Service/shop:spec.ports").covers(path)
