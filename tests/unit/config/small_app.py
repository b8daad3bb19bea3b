"""The app of the fixture `folder`, loaded with one jac.toml or another."""

from pathlib import Path

from jac_converge.config.load import App, load_app

__all__ = ["load"]


def load(folder: Path, toml: str, **environ: str) -> App:
    """Load the app with this jac.toml."""
    (folder / "jac.toml").write_text(toml)
    return load_app(folder / "main.jac", environ=environ)
