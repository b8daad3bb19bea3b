"""Manifests that jac.toml names: found, read, and refused with file and line."""

from pathlib import Path

import pytest

from jac_converge.config.load import App, ConfigError, load_app

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: colours\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the current folder, with an app and a folder for manifests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.jac").touch()
    (tmp_path / "k8s").mkdir()
    return tmp_path


def load(folder: Path, extra: str = '["k8s/*.yaml"]', **more: str) -> App:
    """Load the app with these patterns."""
    (folder / "jac.toml").write_text(f"[converge.kubernetes]\nextra = {extra}\n")
    purpose = "serve" if more else "scale"
    return load_app(folder / "shop.jac", environ={}, purpose=purpose)  # type: ignore[arg-type]


def problems(folder: Path, extra: str = '["k8s/*.yaml"]') -> list[str]:
    """What loading complains about."""
    with pytest.raises(ConfigError) as refused:
        load(folder, extra)
    return [str(problem) for problem in refused.value.problems]


def test_manifests_are_read_in_the_order_of_files_and_documents(folder: Path) -> None:
    """Each with its file and the line of its first key; what is empty is none."""
    (folder / "k8s/b.yaml").write_text(CONFIG_MAP)
    (folder / "k8s/a.yaml").write_text(f"# a comment\n---\n---\n{CONFIG_MAP}---\n{CONFIG_MAP}")
    (folder / "k8s/c.txt").write_text("no: manifest\n")
    found = load(folder).manifests
    assert [("k8s/a.yaml", 4), ("k8s/a.yaml", 9), ("k8s/b.yaml", 1)] == [
        (manifest.file, manifest.line) for manifest in found
    ]
    assert {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "colours"}} == dict(
        found[0].content
    )


def test_manifest_that_two_patterns_name_is_read_once(folder: Path) -> None:
    """Else it would clash with itself."""
    (folder / "k8s/a.yaml").write_text(CONFIG_MAP)
    assert 1 == len(load(folder, '["k8s/a.yaml", "k8s/*.yaml"]').manifests)


def test_manifest_values_are_what_kubectl_takes_them_for(folder: Path) -> None:
    """A date stays text, and a number that is a key becomes text."""
    (folder / "k8s/a.yaml").write_text(f"{CONFIG_MAP}data: {{day: 2024-01-02, 8: x, on: y}}\n")
    (manifest,) = load(folder).manifests
    assert {"day": "2024-01-02", "8": "x", "true": "y"} == manifest.content["data"]


LAUGHS = "a0: &a0 ha\n" + "".join(
    f"a{n}: &a{n} [{', '.join(['*a' + str(n - 1)] * 10)}]\n" for n in range(1, 12)
)
"""A hundred thousand million times ha."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1\n", "k8s/a.yaml:2: is not YAML: expected ',' or ']', but got '<stream end>'; fix"),
        ("a: 1\nb: 2\na: hunter2\n", "k8s/a.yaml:3: is not YAML: the key 'a' stands there twice;"),
        ("a: !!python/none hunter2\n", "k8s/a.yaml:1: is not YAML: could not determine a constru"),
        ("\n- hunter2\n", "k8s/a.yaml:2: is no manifest, or far too large for one: write"),
        (
            "\n\na: !!binary aHVudGVyMg==\n",
            "k8s/a.yaml:3: is no manifest, or far too large for one: write",
        ),
        (LAUGHS, "k8s/a.yaml:1: is no manifest, or far too large for one: write a table of plain"),
        ("a: &a [*a]\n", "k8s/a.yaml:1: is no manifest, or far too large for one"),
        ("a: .nan\n", "k8s/a.yaml:1: is no manifest, or far too large for one: write"),
        ("? [hunter2]\n: b\n", "k8s/a.yaml:1: is not YAML: found unhashable key; fix the syntax"),
        (
            "b: 1\na: !!int hunter2\n",
            "k8s/a.yaml:2: is no manifest, or far too large for one: write",
        ),
        ("b: 1\na: !!int ''\n", "k8s/a.yaml:2: is no manifest, or far too large for one: write"),
        ("b:\n- !!bool hunter2\n", "k8s/a.yaml:2: is no manifest, or far too large for one: write"),
        (
            "a: !!timestamp hunter2\n",
            "k8s/a.yaml:1: is no manifest, or far too large for one: write",
        ),
        (
            f"b: 1\na: {'9' * 5000}\n",
            "k8s/a.yaml:2: is no manifest, or far too large for one: write",
        ),
        (
            f"b: 1\na: {'[' * 3000}\n",
            "k8s/a.yaml:2: is no manifest, or far too large for one: write",
        ),
        (
            'b: 1\na: "\\UFFFFFFFF"\n',
            "k8s/a.yaml:2: is no manifest, or far too large for one: write",
        ),
        ("a: \x00hunter2\n", "k8s/a.yaml: is not YAML: it has characters that YAML has not; fix"),
    ],
    ids=[
        "syntax",
        "key twice",
        "tag",
        "list",
        "bytes",
        "aliases without end",
        "an alias of itself",
        "not a number",
        "list as a key",
        "no whole number",
        "no number at all",
        "no truth",
        "no time",
        "a number too long",
        "too deep",
        "no character",
        "control character",
    ],
)
def test_manifest_that_cannot_be_one_is_refused_at_its_line(
    folder: Path, text: str, expected: str
) -> None:
    """Without a word of what it says: it may be a secret."""
    (folder / "k8s/a.yaml").write_text(text)
    (problem,) = problems(folder)
    assert problem.startswith(expected)
    assert "hunter2" not in problem


def test_manifest_that_is_no_text_is_refused(folder: Path) -> None:
    """A picture, say."""
    (folder / "k8s/a.yaml").write_bytes(b"\xff\xfe\x00")
    assert ["k8s/a.yaml: cannot be read (UnicodeDecodeError); check the file, or the pattern"] == (
        problems(folder)
    )


def test_pattern_without_a_file_is_a_mistake(folder: Path) -> None:
    """Not a wish to delete everything that stood there; every pattern is told."""
    missing = "there is no file {}; check the path, which starts at jac.toml"
    assert [
        f"jac.toml:2: converge.kubernetes.extra[0]: {missing.format('k8s/*.yaml')}",
        f"jac.toml:2: converge.kubernetes.extra[1]: {missing.format('no/such.yml')}",
    ] == problems(folder, '["k8s/*.yaml", "no/such.yml"]')


@pytest.mark.parametrize("pattern", ["k8s", "**/a.yaml", "k*/a.yaml", "a.json", "", "**.yaml"])
def test_pattern_names_yaml_files_of_one_folder(folder: Path, pattern: str) -> None:
    """So that the folder to watch for new files is known."""
    (problem,) = problems(folder, f'["{pattern}"]')
    assert "must be a path to .yaml files" in problem


def test_manifests_and_their_folder_are_among_the_files_to_watch(folder: Path) -> None:
    """A new file changes the folder, an edit the file."""
    (folder / "k8s/a.yaml").write_text(CONFIG_MAP)
    watched = load(folder).files
    assert folder / "jac.toml" == watched[0]
    assert {folder / "k8s", folder / "k8s/a.yaml"} <= set(watched)


def test_manifests_are_not_read_to_serve(folder: Path) -> None:
    """A pod has jac.toml, and need not have them."""
    assert () == load(folder, purpose="serve").manifests


def test_manifests_show_no_value_in_a_repr(folder: Path) -> None:
    """A Secret may be among them."""
    (folder / "k8s/a.yaml").write_text(CONFIG_MAP)
    assert "colours" not in repr(load(folder))
