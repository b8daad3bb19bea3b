"""What jac.toml excludes is in no image; what excludes nothing, or too much, is told."""

from pathlib import Path

import pytest

from jac_converge.config.load import App, ConfigError, load_app
from jac_converge.reconciler.image.production import notes_on_sources, sources_of

FILES = (
    *("shop.jac", "key.pem", "sub/key.pem", "data/a.csv", "sub/data/b.csv", "docs/a.md"),
    *("docs/deep/b.md", "data.txt", "tests/test_shop.jac", "tests/data"),
)


def shop(folder: Path, exclude: str, more: str = "") -> App:
    """Write an app, with what stays out of its image."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    table = f"[converge.kubernetes.image_build]\nexclude = {exclude}\n{more}"
    (folder / "jac.toml").write_text(table)
    return load_app(folder / "shop.jac", environ={})


def test_excluded_is_in_no_image(tmp_path: Path) -> None:
    """By a name at any depth, by a path from jac.toml on, and by one of folders alone."""
    app = shop(tmp_path, '["*.pem", "data/", "docs/*.md", "/tests"]')
    assert {"jac.toml", "shop.jac", "docs/deep/b.md", "data.txt"} == sources_of(app).keys()
    assert () == notes_on_sources(app)


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("**/*.pem", {"key.pem", "sub/key.pem"}),
        ("**/data", {"data/a.csv", "sub/data/b.csv", "tests/data"}),
        ("**/data/", {"data/a.csv", "sub/data/b.csv"}),
        ("**/data/*.csv", {"data/a.csv", "sub/data/b.csv"}),
        ("docs/**", {"docs/a.md", "docs/deep/b.md"}),
        ("docs/**/*.md", {"docs/a.md", "docs/deep/b.md"}),
        ("/docs/**/**/b.md", {"docs/deep/b.md"}),
        ("docs/**/", {"docs/deep/b.md"}),
        # Two stars within a name are as good as one.
        ("docs/**.md", {"docs/a.md"}),
    ],
)
def test_two_stars_are_folders_of_any_depth(
    tmp_path: Path, pattern: str, left_out: set[str]
) -> None:
    """Of none, too, as git has it: what a key is found by must find it everywhere."""
    app = shop(tmp_path, f'["{pattern}"]')
    assert left_out == {*FILES, "jac.toml"} - sources_of(app).keys()
    assert () == notes_on_sources(app)


def test_pattern_that_excludes_nothing_is_noted(tmp_path: Path) -> None:
    """It was meant to keep something out, which is perhaps in."""
    app = shop(tmp_path, '["*.pem", "secrets/", ".env"]')
    (tmp_path / ".env").write_text("PASSWORD=x")  # is in no image anyway
    (note,) = notes_on_sources(app)
    assert note.endswith(
        "exclude: nothing that would be in the image matches secrets/, .env; hidden files, caches "
        "and node_modules stay out anyway"
    )


@pytest.mark.parametrize("pattern", ["*.jac", "jac.toml"])
def test_app_without_itself_is_refused(tmp_path: Path, pattern: str) -> None:
    """No pod would start."""
    app = shop(tmp_path, f'["{pattern}"]')
    with pytest.raises(
        ConfigError, match=r"image_build.exclude: leaves out .*without which no pod"
    ):
        sources_of(app)


@pytest.mark.parametrize("pattern", ["jac.*.toml", "/jac.prod.toml"])
def test_app_without_its_profile_is_refused(tmp_path: Path, pattern: str) -> None:
    """Pods ask for the same one; that of another, and that of this machine, may stay here."""
    shop(tmp_path, f'["{pattern}"]')
    (tmp_path / "jac.local.toml").write_text("")
    (tmp_path / "jac.prod.toml").write_text("")
    file = tmp_path / "shop.jac"
    sources_of(load_app(file, environ={}))
    with pytest.raises(ConfigError, match=r"exclude: leaves out jac.prod.toml, which pods read"):
        sources_of(load_app(file, environ={}, profile="prod"))


@pytest.mark.parametrize("pattern", ["", "!a", "../a", "a/../b", "a//b", "a\\\\b", "/"])
def test_pattern_that_means_nothing_is_refused(tmp_path: Path, pattern: str) -> None:
    """With what one looks like."""
    with pytest.raises(ConfigError, match=r"must be a name or a path in the folder of jac.toml"):
        shop(tmp_path, f'["{pattern}"]')


def test_other_builders_have_a_file_of_their_own_for_it(tmp_path: Path) -> None:
    """A key without effect is an error."""
    with pytest.raises(ConfigError, match=r'means nothing with builder = "docker"; .*dockerignore'):
        shop(tmp_path, '["*.pem"]', 'builder = "docker"\n')
