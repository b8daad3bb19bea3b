"""What is written from the model is up to date, and whole."""

import json
from importlib import resources
from pathlib import Path

import pytest

from jac_converge.config import reference
from jac_converge.config.complaints import JACLANG_KEYS, tables

CHECKOUT = Path(__file__).resolve().parents[3]
PAGE = CHECKOUT / "docs" / "reference" / "jac-toml.md"
FIELDS = [
    (path, key)
    for path, model in tables()
    for key in model.model_fields
    if (*path, key) not in dict(tables())
    and key not in (*JACLANG_KEYS, "secrets", "sso", "webhooks")
]


def test_reference_page_is_up_to_date() -> None:
    """Else: `python -m jac_converge.config.reference`."""
    assert reference.reference_page() == PAGE.read_text()


def test_reference_page_has_no_broken_row() -> None:
    """A line break inside a row ends the table."""
    lines = PAGE.read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert [] == [row for row in rows if not row.endswith("|")]


def test_schema_is_up_to_date_and_ships_with_the_package() -> None:
    """Else: `python -m jac_converge.config.reference`."""
    shipped = resources.files("jac_converge.config").joinpath("schema.json")
    assert reference.schema_text() == shipped.read_text()


@pytest.mark.parametrize(("path", "key"), FIELDS)
def test_reference_page_explains_each_key(path: tuple[str, ...], key: str) -> None:
    """Each key has a row in the section of its table, with a meaning."""
    title = f"## `[{'.'.join(('converge', *path))}]`"
    (section,) = (
        part for part in PAGE.read_text().split("\n\n## ") if f"## {part}".startswith(title)
    )
    (row,) = (line for line in section.splitlines() if line.startswith(f"| `{key}` |"))
    assert all(cell.strip() for cell in row.split("|")[1:-1])


def test_schema_describes_every_key_and_refuses_others() -> None:
    """An editor shows a meaning for each key, and marks a key that does not exist."""
    schema = json.loads(reference.schema_text())
    definitions = [schema, *schema["$defs"].values()]
    described = [table for table in definitions if "properties" in table]
    assert len(tables_of_model()) == len(described)
    assert all(table["additionalProperties"] is False for table in described)
    assert [] == [
        key
        for table in described
        for key, value in table["properties"].items()
        if "$ref" not in value and "description" not in json.dumps(value)
    ]
    assert "null" not in json.dumps(schema)
    assert set() == set(JACLANG_KEYS) & schema["properties"].keys()


def tables_of_model() -> dict[tuple[str, ...], object]:
    """List every table of the model."""
    return dict(tables())


def test_reference_writes_both_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes into the checkout it runs from, and says what."""
    (tmp_path / "config").mkdir()
    monkeypatch.setattr(reference, "__file__", str(tmp_path / "config" / "reference.py"))
    reference.main()
    assert ["config/schema.json", "docs/reference/jac-toml.md"] == sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")
    )
    assert 2 == capsys.readouterr().out.count("wrote ")
