"""What files may be called, and links to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jac_converge.app_runtime.files.keys import BadKey, checked_folder, checked_key
from jac_converge.app_runtime.files.links import LONGEST, Links, disposition


@pytest.mark.parametrize(
    ("given_key", "key"),
    [
        ("a.txt", "a.txt"),
        ("/a/b.txt", "a/b.txt"),
        ("//a", "a"),
        ("été/ö %.txt", "été/ö %.txt"),
        ("a" * 200, "a" * 200),
        ("e\u0301 \U0001f469\u200d\U0001f680", "e\u0301 \U0001f469\u200d\U0001f680"),
    ],
)
def test_key_has_one_form(given_key: str, key: str) -> None:
    """A slash at its beginning means nothing."""
    assert key == checked_key(given_key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        ".",
        "..",
        "../a",
        "a/../../b",
        "a/./b",
        "a//b",
        "a/",
        ".hidden",
        "a/.parts/b",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "a\u202egpj.exe",
        "a\ufffeb",
        "a" * 201,
        "a/" * 450 + "b",
        "\ud800",
        7,
        None,
    ],
)
def test_key_that_leads_elsewhere_is_refused(key: object) -> None:
    """Whatever it is; so is what some system could not keep."""
    with pytest.raises(BadKey, match="the name of a file"):
        checked_key(key)


@given(st.text())
def test_key_never_leaves_its_folder(text: str) -> None:
    """A key that is taken has only plain parts."""
    try:
        key = checked_key(text)
    except BadKey:
        return
    assert not key.startswith("/")
    assert all(part and not part.startswith(".") for part in key.split("/"))
    assert "\\" not in key
    assert "\0" not in key


@pytest.mark.parametrize(
    ("base_path", "folder"), [("./storage", "storage"), ("photos/", "photos"), ("a/b", "a/b")]
)
def test_folder_is_below_the_configured_one(base_path: str, folder: str) -> None:
    """As jaclang has it below the current one."""
    assert folder == checked_folder(base_path)


@pytest.mark.parametrize("base_path", ["", ".", "./", "..", "/data", ".jac", "own-files/x", 3])
def test_folder_elsewhere_is_refused(base_path: object) -> None:
    """There may be secrets beside it, and files of accounts."""
    with pytest.raises(BadKey, match=r"needs a folder below \[converge.storage\] path"):
        checked_folder(base_path)


def test_link_is_good_for_its_file_and_its_time() -> None:
    """And for nothing else; a secret of before signs no new one, and still counts."""
    now = [1000.0]
    links = Links("/stored", ["new", "old"], clock=lambda: now[0])
    before = Links("/stored", ["old"], clock=lambda: now[0])
    for made in (links.link("storage/ä b", 60), before.link("storage/ä b", 60)):
        path, _, query = made.partition("?")
        assert "/stored/storage/%C3%A4%20b" == path
        expires, signature = (part.partition("=")[2] for part in query.split("&"))
        now[0] = 1059.0
        assert links.good("storage/ä b", expires, signature)
        assert not links.good("storage/other", expires, signature)
        assert not links.good("storage/ä b", str(int(expires) + 1), signature)
        assert not links.good("storage/ä b", expires, signature[:-1] + "é")
        now[0] = 1060.0
        assert not links.good("storage/ä b", expires, signature)
        now[0] = 1000.0
    assert not Links("/stored", ["other"]).good("storage/ä b", expires, signature)


@pytest.mark.parametrize("expires", ["", "-1", "1e9", "٣", "9" * 30])
def test_link_without_a_moment_is_none(expires: str) -> None:
    """Whatever is sent in its place."""
    assert not Links("/stored", ["a"]).good("key", expires, "")


@pytest.mark.parametrize("seconds", [0, -1, LONGEST + 1])
def test_link_is_good_for_a_while(seconds: int) -> None:
    """Not for ever."""
    with pytest.raises(ValueError, match="expires_in"):
        Links("/stored", ["a"]).link("key", seconds)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("image/png", "inline"),
        ("application/pdf", "inline"),
        ("text/plain", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("IMAGE/SVG+XML; charset=utf-8", "attachment"),
        ("application/octet-stream", "attachment"),
    ],
)
def test_browser_shows_what_runs_no_script(kind: str, how: str) -> None:
    """A page of somebody else would run as one of the app."""
    assert f"{how}; filename*=UTF-8''a%22b" == disposition('storage/a"b', kind)
