"""The files that configure one app: which they are, what they hold, in jaclang's own order.

Weakest first: `jac.toml`, `jac.<profile>.toml`, `[environments.<profile>]` of jac.toml (after the
profile it inherits), `jac.local.toml`. This and `load.py` are all of this package that touches the
disk. It changes when jaclang looks for its files elsewhere.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jac_converge.config.layers import Layer, shown, value_at
from jac_converge.config.problems import ConfigError, Problem

__all__ = ["Document", "Sources", "read_document", "read_sources"]

_DECODE_ERROR = re.compile(
    r"(?P<cause>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|.*)\)"
)
_PROFILE_NAME = re.compile(r"[A-Za-z0-9_][-.A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file, or the part of one that a profile adds."""

    file: Path
    text: str
    table: Mapping[str, Any]
    prefix: tuple[str, ...] = ()
    """Where the table stands in the file: `("environments", "prod")`."""

    def layer(self, *path: str) -> Layer | None:
        """Take one table out of it, to be read in the shape of `[converge]`; None: not there."""
        try:
            table = value_at(self.table, path)
        except LookupError:
            return None
        if not isinstance(table, Mapping):
            return None
        return Layer(table=table, file=self.file, text=self.text, prefix=(*self.prefix, *path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything that files say."""

    documents: tuple[Document, ...]
    """Weakest first."""
    files: tuple[Path, ...]
    """Every file that was read, or would be if it were there; jac.toml is the first."""
    notes: tuple[str, ...]


def read_sources(app_file: Path, *, profile: str | None, profile_from: str) -> Sources:
    """Read jac.toml, beside the app or above it, and what goes with it.

    Args:
        app_file: absolute.
        profile: overlay to apply; else jac.toml's `[environment] default_profile`.
        profile_from: who asks for the profile, for the message when there is no such profile.

    Raises:
        ConfigError: files that cannot be read or are not TOML, all of them; no such profile.
    """
    toml = _nearest(app_file.parent)
    notes = () if toml.parent == app_file.parent else (f"configured by {shown(toml)}",)
    problems: list[Problem] = []
    base = _read(toml, problems)
    if profile is None and base is not None:
        profile, profile_from = _default_profile(base.table), "[environment] default_profile"
    if profile is not None and _PROFILE_NAME.fullmatch(profile) is None:
        raise ConfigError(*problems, _no_profile(profile, profile_from, toml))
    of_profile = () if profile is None else (toml.with_name(f"jac.{profile}.toml"),)
    local = toml.with_name("jac.local.toml")
    documents = [base, *(_read(path, problems) for path in of_profile)]
    if profile is not None:
        documents += _environments(base, profile)
        if not problems and not any(documents[1:]):
            problems.append(_no_profile(profile, profile_from, toml))
    documents.append(_read(local, problems))
    if problems:
        raise ConfigError(*problems)
    return Sources(
        documents=tuple(document for document in documents if document is not None),
        files=(toml, *of_profile, local),
        notes=notes,
    )


def read_document(file: Path) -> Document | None:
    """Read one file; None: there is none.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    problems: list[Problem] = []
    document = _read(file, problems)
    if problems:
        raise ConfigError(*problems)
    return document


def _nearest(folder: Path) -> Path:
    for candidate in (folder, *folder.parents):
        # A link to nowhere counts as there: reading it says what is wrong.
        if (toml := candidate / "jac.toml").exists() or toml.is_symlink():
            return toml
    return folder / "jac.toml"


def _read(file: Path, problems: list[Problem]) -> Document | None:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        if not file.is_symlink():
            return None
        problems.append(_problem(file, None, "links to a file that is not there; fix the link"))
    except UnicodeDecodeError as exc:
        message = f"is not UTF-8 (byte {exc.start}); save it as UTF-8"
        problems.append(_problem(file, None, message))
    except OSError as exc:
        cause = (exc.strerror or str(exc)).lower()
        problems.append(_problem(file, None, f"cannot be read ({cause}); make it a readable file"))
    else:
        try:
            return Document(file=file, text=text, table=tomllib.loads(text))
        except tomllib.TOMLDecodeError as exc:
            problems.append(_not_toml(file, text, exc))
    return None


def _not_toml(file: Path, text: str, exc: tomllib.TOMLDecodeError) -> Problem:
    match = _DECODE_ERROR.fullmatch(str(exc))
    cause, line, column = (
        match.group("cause", "line", "column") if match else (str(exc), None, None)
    )
    at = f", column {column}" if column else ", at its end"
    number = int(line) if line else text.count("\n") + 1
    return _problem(
        file, number, f"is not TOML{at}: {cause[:1].lower()}{cause[1:]}; fix the syntax"
    )


def _default_profile(table: Mapping[str, Any]) -> str | None:
    environment = table.get("environment")
    name = environment.get("default_profile") if isinstance(environment, Mapping) else None
    return name if isinstance(name, str) and name else None


def _environments(base: Document | None, profile: str) -> list[Document]:
    """Find `[environments.<profile>]` and what it inherits, the remotest ancestor first."""
    environments = base.table.get("environments") if base is not None else None
    found: list[Document] = []
    seen: set[str] = set()
    name: Any = profile
    while base is not None and isinstance(environments, Mapping) and name not in seen:
        table = environments.get(name) if isinstance(name, str) else None
        if not isinstance(table, Mapping):
            break
        seen.add(name)
        prefix = ("environments", name)
        found.insert(0, Document(file=base.file, text=base.text, table=table, prefix=prefix))
        name = table.get("inherits")
    return found


def _no_profile(profile: str, profile_from: str, toml: Path) -> Problem:
    place = f"jac.{profile}.toml beside it, nor [environments.{profile}] in it"
    message = (
        f"there is no profile {profile!r} (from {profile_from}): neither {place}; add one of them"
    )
    return _problem(toml, None, message)


def _problem(file: Path, line: int | None, message: str) -> Problem:
    return Problem(file=shown(file), line=line, key=None, message=message)
