"""What cannot be built is told by the file that is wrong, in one line."""

import zipfile
from pathlib import Path
from threading import Event

import pytest

from jac_converge.config.load import ConfigError, load_app
from jac_converge.reconciler.errors import ClusterError, Invalid
from jac_converge.reconciler.image.archive import read_layout
from jac_converge.reconciler.image.blobs import Blobs
from jac_converge.reconciler.image.dependencies import Lock, install, lock_of
from jac_converge.reconciler.image.production import notes_on_sources, sources_of
from tests.unit.reconciler.image.production_case import TOML, case_in


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param(None, "there is no such file; check the path", id="nothing there"),
        pytest.param({}, "it has no index.json, so it is no OCI layout; make", id="empty folder"),
        pytest.param(
            {"index.json": '{"manifests": [{"mediaType": "", "digest": "sha256:0", "size": 1}]}'},
            "it has no blobs/sha256/0, so it is no OCI layout; make",
            id="blob missing",
        ),
        pytest.param({"index.json": "{}"}, r"it is no OCI layout \(KeyError: ", id="other JSON"),
        pytest.param("some text", "it is no tar archive, or not a whole one; make", id="no tar"),
    ],
)
def test_base_that_is_no_layout(
    tmp_path: Path, written: dict[str, str] | str | None, said: str
) -> None:
    """What is missing in it, and never a list of what was tried."""
    path = tmp_path / "base"
    if isinstance(written, str):
        path.write_text(written)
    elif written is not None:
        path.mkdir()
        for name, text in written.items():
            (path / name).write_text(text)
    with pytest.raises(ClusterError, match=said) as raised:
        read_layout(path, "linux/amd64", Blobs(tmp_path / "cache"))
    assert "\n" not in str(raised.value)


def test_base_that_is_meant_as_a_file_is_told(tmp_path: Path) -> None:
    """By the name alone, it would be looked up in a registry."""
    case = case_in(tmp_path)
    toml = case.app.files[0]
    toml.write_text(TOML.replace("./base.tar", "base.tar"))
    with pytest.raises(ConfigError, match=r'base: is looked up in a registry, .*"./base.tar"'):
        type(case)(app=load_app(case.code, environ={}), blobs=case.blobs).make()


def test_files_without_end_are_named(tmp_path: Path) -> None:
    """With the limit, and the largest of them."""
    case = case_in(tmp_path)
    for name, size in (("dump.sql", 300), ("film.mp4", 20), ("notes.txt", 0)):
        with (case.app.root / name).open("wb") as file:
            file.truncate(size * 1_000_000)
    largest = r"the largest are dump.sql \(300 MB\), film.mp4 \(20 MB\), "
    said = rf"shop: has 6 files of 320 MB, and an image takes 256 MB of an app; {largest}"
    with pytest.raises(ConfigError, match=said):
        sources_of(case.app)


def test_links_to_folders_are_noted(tmp_path: Path) -> None:
    """They are left out; a virtual environment always is."""
    case = case_in(tmp_path)
    assert () == notes_on_sources(case.app)
    for name in ("library", "venv"):
        (tmp_path / name).mkdir()
        (case.app.root / name).symlink_to(tmp_path / name)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "library" / "one.jac").write_text("")
    (note,) = notes_on_sources(case.app)
    assert "left out of the image, since links lead there: library; put" in note
    assert {"base.tar", "jac.toml", "shop.jac"} == sources_of(case.app).keys()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("requirements.txt", "# ours\none==1\ntwo 2\n", r'requirements.txt:3: "two 2" is no requ'),
        ("pyproject.toml", '[project]\ndependencies = ["a b"]', r'pyproject.toml: "a b" is no req'),
        ("jac.toml", '[dependencies]\nthree = "~~3"\n', r'jac.toml: "three~~3" is no requirement'),
    ],
)
def test_wrong_requirement_is_told_by_its_place(
    tmp_path: Path, file: str, text: str, said: str
) -> None:
    """Not by a copy of ours, and before anything is installed."""
    (tmp_path / file).write_text(text)
    with pytest.raises(ConfigError, match=said):
        lock_of(tmp_path)


def test_what_only_pip_understands_is_left_to_it(tmp_path: Path) -> None:
    """Paths, addresses, and options of one package."""
    lines = ("./wheels/one.whl", "two @ https://example.test/two.whl", "three==3 --no-binary x")
    (tmp_path / "requirements.txt").write_text("\n".join(lines))
    assert lines == lock_of(tmp_path).requirements[-3:]


def test_wrong_hash_is_told_by_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no matter of wheels for another platform."""
    wheel = tmp_path / "one-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as zipped:
        folder = "one-1.dist-info"
        zipped.writestr(f"{folder}/METADATA", "Metadata-Version: 2.1\nName: one\nVersion: 1\n")
        zipped.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        zipped.writestr(f"{folder}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    lock = Lock(requirements=(), hashed=f"# locked\none==1 --hash=sha256:{'0' * 64}\n")
    said = r"requirements.txt: the hash of one==1 \(line 2\) is another one; lock requirements.txt"
    target = tmp_path / "target"
    with pytest.raises(Invalid, match=said):
        install(lock, python="3.12", platform="linux/amd64", target=target, stop=Event())
