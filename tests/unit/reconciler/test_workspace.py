"""Which folders are apps, and what their main file is."""

from pathlib import Path

import pytest

from jac_converge.config.problems import ConfigError
from jac_converge.reconciler.workspace import app_folders, main_file

OURS = "[converge.kubernetes]\nreplicas = 1\n"


def folder(root: Path, name: str, toml: str, *files: str) -> Path:
    """Write a folder with a jac.toml."""
    found = root / name
    found.mkdir(parents=True)
    (found / "jac.toml").write_text(toml)
    for file in files:
        (found / file).write_text("")
    return found


def test_workspace_is_every_folder_with_a_jac_toml(tmp_path: Path) -> None:
    """Itself and nested ones; not what is hidden or other people's."""
    for name in ("a", "a/inner", ".hidden", "b/node_modules/x"):
        folder(tmp_path, name, OURS)
    (tmp_path / "empty").mkdir()
    assert [tmp_path / "a", tmp_path / "a/inner"] == list(app_folders(tmp_path))
    (tmp_path / "jac.toml").write_text(OURS)
    assert tmp_path == next(app_folders(tmp_path))


@pytest.mark.parametrize(
    ("toml", "files", "expected"),
    [
        pytest.param(OURS, ["shop.jac"], "shop.jac", id="the only one"),
        pytest.param(OURS, ["a.jac", "main.jac"], "main.jac", id="main"),
        pytest.param(
            f'[project]\nentry-point = "src/b.jac"\n{OURS}', ["a.jac"], "src/b.jac", id="named"
        ),
        pytest.param("[plugins.scale]\n", ["a.jac"], "a.jac", id="of jac-scale"),
        pytest.param('[project]\nname = "x"\n', ["a.jac"], None, id="none of ours"),
    ],
)
def test_main_file_is_what_the_folder_says(
    tmp_path: Path, toml: str, files: list[str], expected: str | None
) -> None:
    """jac.toml first, then what is there."""
    found = folder(tmp_path, "app", toml, *files)
    assert (found / expected if expected else None) == main_file(found)


@pytest.mark.parametrize(
    ("toml", "files", "words"),
    [
        pytest.param(OURS, ["a.jac", "b.jac"], "(there is a.jac, b.jac); name it", id="two"),
        pytest.param(OURS, [], "(there is none); name it", id="none"),
        pytest.param("[converge", [], "is not TOML", id="no TOML"),
    ],
)
def test_main_file_that_is_not_clear_is_an_error(
    tmp_path: Path, toml: str, files: list[str], words: str
) -> None:
    """It names the file, and what to write."""
    with pytest.raises(ConfigError) as caught:
        main_file(folder(tmp_path, "app", toml, *files))
    assert ("jac.toml" in str(caught.value), words in str(caught.value)) == (True, True)
