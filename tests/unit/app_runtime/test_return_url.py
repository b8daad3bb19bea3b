"""Pages that a browser may be sent to after a login, without any server."""

import pytest

from jac_converge.app_runtime.sso.return_url import may_return

OWN = "https://shop.example/api"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        pytest.param("https://web.example/in/", True, id="the-folder"),
        pytest.param("https://web.example/in/a/b?tab=1", True, id="below"),
        pytest.param("https://web.example:443/in/a", True, id="usual-port"),
        pytest.param("https://web.example/in", False, id="without-its-slash"),
        pytest.param("https://web.example/in?next=/in/", False, id="slash-in-the-query"),
        pytest.param("https://web.example/inn/", False, id="longer-name"),
        pytest.param("https://web.example/", False, id="above"),
        pytest.param("https://web.example/in/../out", False, id="climbs"),
        pytest.param("https://web.example/in/%2e%2e/out", False, id="climbs-encoded"),
        pytest.param("https://web.example/in/%252e%252e/out", False, id="climbs-encoded-twice"),
        pytest.param("https://web.example:8443/in/", False, id="another-port"),
        pytest.param("http://web.example/in/", False, id="another-scheme"),
        pytest.param("https://a.web.example/in/", False, id="another-host"),
        pytest.param("https://web.example@evil.example/in/", False, id="user"),
    ],
)
def test_folder_has_what_is_below_it(url: str, *, allowed: bool) -> None:
    """And nothing beside it; `/in` is a page of its own."""
    assert allowed is may_return(url, OWN, ["https://web.example/in/"])


@pytest.mark.parametrize(
    ("url", "allowed"),
    [("https://web.example/in", True), ("https://web.example/in/", False)],
)
def test_page_is_itself(url: str, *, allowed: bool) -> None:
    """Without / at its end, it has nothing below it."""
    assert allowed is may_return(url, OWN, ["https://web.example/in"])


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://shop.example/api", True),
        ("https://shop.example/api/after", True),
        ("https://shop.example/apis", False),
        ("http://localhost:5173/in", True),
        ("http://localhost/in/x", False),
    ],
)
def test_own_pages_and_programs_of_the_machine(url: str, *, allowed: bool) -> None:
    """The app has its prefix too, and a program of the user listens where it can."""
    assert allowed is may_return(url, OWN, ["http://localhost/in"])
