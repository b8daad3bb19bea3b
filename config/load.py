"""jac.toml + profile + environment + flags -> `App`.

Order, strongest first: flag, environment, profile, jac.toml, default. It changes when that order
does, or when something else has to be known about an app before anything can run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from jac_converge.config.complaints import JACLANG_KEYS, complaints
from jac_converge.config.jac_scale import translate, translate_storage
from jac_converge.config.layers import KeyPath, Layer, merge, problem_at, shown, strongest
from jac_converge.config.model import Settings
from jac_converge.config.problems import ConfigError, Problem
from jac_converge.config.sources import Document, read_sources
from jac_converge.config.variables import BrokenReference, UnsetVariable, interpolate

if TYPE_CHECKING:
    from jac_converge.config.manifests import Manifest

__all__ = ["App", "ConfigError", "Problem", "load_app", "written_tables"]

type Purpose = Literal["serve", "check", "scale"]

_TABLES = (("converge",), ("plugins", "scale"), ("scale",))
"""Ours, jac-scale's, later upstream's: the first one that is there is the only one that counts."""

_JACLANG_KEYS: Mapping[str, KeyPath] = {
    "port": ("server", "port"),
    "on_conflict": ("on_conflict",),
    "conflict_max_attempts": ("conflict_max_attempts",),
}
"""Key of jaclang's `[serve]` -> where it goes in `Settings`."""

_ENVIRONMENT: Mapping[str, tuple[str, str]] = {
    "MONGODB_URI": ("database", "mongodb_uri"),
    "REDIS_URL": ("database", "redis_url"),
    "JWT_SECRET": ("jwt", "secret"),
    "FORWARDED_ALLOW_IPS": ("server", "trusted_proxies"),
}

_LONGEST_NAME = 40

_ONLY_FOR_SCALE = frozenset({"kubernetes", "secrets", "watch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app: its file, its names, its settings."""

    file: Path
    """The `.jac` file, absolute."""
    name: str
    """A DNS label of at most 40 characters; the prefix of every object in the cluster."""
    namespace: str
    settings: Settings
    files: tuple[Path, ...]
    """Every configuration file that was read, or would be if it were there: what `--watch` watches.
    The folders of manifests are among them, for files that come or go.

    jac.toml is the first; where there is none, the one that would stand beside the app.
    """
    profile: str | None = None
    """The profile that was asked for; pods ask for the same one."""
    notes: tuple[str, ...] = ()
    """What the user should know, such as keys taken from `[plugins.scale]`."""
    manifests: tuple["Manifest", ...] = ()
    """What the files of `[converge.kubernetes] extra` say; not read to serve."""
    code: bytes = b""
    """The app's own files, as a tar that was gzipped, where they are not in the image."""
    user: int | None = None
    """Number of the user, and of its group, in an image that was built here; None: who knows."""
    configured: bool = True
    """False when no file has `[converge]`, or a table that stands in for it: pruning on the
    strength of a jac.toml that was emptied or lost would delete what nobody asked to delete."""

    @property
    def root(self) -> Path:
        """The folder that relative paths in the settings start from: that of jac.toml."""
        return _root(self.file, self.files)

    def problem(self, key: str, message: str) -> Problem:
        """Say what is wrong with a key of jac.toml, `converge.kubernetes.image`."""
        file = str(self.files[0]) if self.files else None
        return Problem(file=file, line=None, key=key, message=message)


def _root(file: Path, files: Sequence[Path]) -> Path:
    return files[0].parent if files else file.parent


def load_app(
    file: Path,
    *,
    environ: Mapping[str, str],
    profile: str | None = None,
    flags: Mapping[str, object] | None = None,
    purpose: Purpose = "scale",
) -> App:
    """Read and check everything that configures one app.

    Args:
        file: the `.jac` file; jac.toml is looked for beside it and in every folder above.
        environ: the process environment.
        profile: overlay `jac.<profile>.toml` and `[environments.<profile>]`; else JAC_PROFILE,
            else jac.toml's `[environment] default_profile`.
        flags: dotted key below `[converge]` -> value, such as `{"server.port": 9000}`;
            None: not given.
        purpose: serve: a variable that is not set matters only where serving needs it, since a
            pod has the results of `[converge.secrets]`, not the variables they came from. check:
            none needs to be set yet, as where an image is built.

    Raises:
        ConfigError: with every problem found.
    """
    file = _existing(file)
    profile_from = "--profile" if profile else "JAC_PROFILE"
    profile = profile or environ.get("JAC_PROFILE") or None
    sources = read_sources(file, profile=profile, profile_from=profile_from)
    written = written_tables(sources.documents)
    layers = _layers(sources.documents, written, environ, flags or {})
    problems = _misplaced(sources.documents)
    settings = _settings(layers, environ, purpose, problems)
    name = _name(file, sources.documents, settings, problems)
    patterns = settings.kubernetes.extra if settings and purpose == "scale" else ()
    root = _root(file, sources.files)
    manifests, watched = _manifests(root, patterns, layers, problems)
    if problems or settings is None:
        raise ConfigError(*sorted(problems, key=lambda p: (p.file or "", p.line or 0)))
    return App(
        file=file,
        name=name,
        namespace=settings.kubernetes.namespace or name,
        settings=settings,
        files=(*sources.files, *watched),
        manifests=manifests,
        profile=profile,
        notes=(*sources.notes, *written.notes),
        configured=written.configured,
    )


def _existing(file: Path) -> Path:
    """Return the absolute path of an app's file.

    Raises:
        ConfigError: there is none.
    """
    absolute = file.absolute()
    if not absolute.is_dir():
        # Else the folders above `a/../b` would be those of a.
        absolute = absolute.parent.resolve() / absolute.name
    if absolute.is_dir():
        message = "is a folder; name the app's main .jac file in it"
    elif absolute.suffix != ".jac":
        message = "is not a .jac file; name the app's main file, such as app.jac"
    elif not absolute.exists():
        message = "there is no such file; check the path, or the folder you are in"
    else:
        return absolute
    raise ConfigError(Problem(file=str(file), line=None, key=None, message=message))


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTables:
    """What files say in `[converge]`, or in the table that stands in for it."""

    layers: tuple[Layer, ...] = ()
    """Weakest first."""
    notes: tuple[str, ...] = ()
    configured: bool = True
    """Whether there is such a table."""


def written_tables(documents: Sequence[Document]) -> WrittenTables:
    """Take the first table there is; never a merge of two."""
    found = {
        table: layers
        for table in _TABLES
        if (layers := tuple(filter(None, (doc.layer(*table) for doc in documents))))
    }
    if not found:
        return WrittenTables(configured=False)
    (table, layers), *others = found.items()
    ignored = [
        f"[{'.'.join(other)}] is ignored: [{'.'.join(table)}] is there" for other, _ in others
    ]
    if table == _TABLES[0]:
        return WrittenTables(layers=layers, notes=tuple(ignored))
    translation = translate(layers)
    title = f"[{'.'.join(table)}]"
    notes = [f"{title} used: {', '.join(translation.used) or 'nothing'}"]
    if translation.unused:
        notes.append(f"{title} not used: {', '.join(translation.unused)}")
    notes.append("`jac scale --init` prints the same as a [converge] table")
    return WrittenTables(layers=translation.layers, notes=(*notes, *ignored))


def _layers(
    documents: Sequence[Document],
    written: WrittenTables,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
) -> tuple[Layer, ...]:
    """Return everything that says something, weakest first."""
    return (
        *_jaclang_layers(documents),
        *written.layers,
        *_environment_layers(environ),
        *_flag_layers(flags),
    )


def _jaclang_layers(documents: Sequence[Document]) -> list[Layer]:
    layers = []
    for layer in filter(None, (document.layer("serve") for document in documents)):
        table: dict[str, Any] = {}
        renamed: dict[KeyPath, KeyPath] = {}
        for key, ours in _JACLANG_KEYS.items():
            if key in layer.table:
                value = layer.table[key]
                table |= {"server": {"port": value}} if key == "port" else {key: value}
                renamed[ours] = (*layer.prefix, key)
        layers.append(replace(layer, table=table, renamed=renamed))
    stored = filter(None, (document.layer("storage") for document in documents))
    return [*layers, *filter(None, map(translate_storage, stored))]


def _environment_layers(environ: Mapping[str, str]) -> list[Layer]:
    return [
        Layer(table={table: {key: environ[name]}}, origin=f"the environment variable {name}")
        for name, (table, key) in _ENVIRONMENT.items()
        if environ.get(name)
    ]


def _flag_layers(flags: Mapping[str, object]) -> list[Layer]:
    layers = []
    for key, given in flags.items():
        table: Any = given
        for part in reversed(key.split(".")):
            table = {part: table}
        if given is not None:
            layers.append(Layer(table=table, origin="the command line"))
    return layers


def _misplaced(documents: Sequence[Document]) -> list[Problem]:
    """Find what validation cannot see: it never gets a `converge = 3`, and takes jaclang's keys."""
    problems = []
    for document in documents:
        whole = Layer(
            table=document.table, file=document.file, text=document.text, prefix=document.prefix
        )
        if not isinstance(document.table.get("converge", {}), Mapping):
            problems.append(problem_at([whole], ("converge",), "must be a table; write [converge]"))
        if layer := document.layer("converge"):
            problems += [
                problem_at([layer], (key,), "unknown key; it belongs to jaclang's [serve]")
                for key in JACLANG_KEYS
                if key in layer.table
            ]
    return problems


def _settings(
    layers: Sequence[Layer],
    environ: Mapping[str, str],
    purpose: Purpose,
    problems: list[Problem],
) -> Settings | None:
    """Merge, interpolate and check; add what is wrong to `problems`."""
    missing: list[Problem] = []
    later: list[KeyPath] = []

    def unset(path: KeyPath, reason: UnsetVariable) -> None:
        if purpose == "check" and not isinstance(reason, BrokenReference):
            later.append(path)
        elif purpose == "scale" or path[0] not in _ONLY_FOR_SCALE:
            missing.append(problem_at(layers, path, str(reason)))

    def from_no_file(path: KeyPath) -> bool:
        found = strongest(layers, path)
        return found is not None and found[0].file is None

    table = interpolate(merge(layers), environ, unset=unset, literal=from_no_file)
    problems += missing
    try:
        return Settings.model_validate(table)
    except ValidationError as exc:
        # A key left out for want of its variable says nothing about rules between keys.
        problems += complaints(exc, layers, table, rules=not (missing or later))
        return Settings() if later and not problems else None


def _manifests(
    root: Path, patterns: Sequence[str], layers: Sequence[Layer], problems: list[Problem]
) -> tuple[tuple["Manifest", ...], tuple[Path, ...]]:
    """Read manifests; add what is wrong to `problems`.

    Returns:
        The manifests, and the files and folders that they came from.
    """
    if not patterns:
        return (), ()
    # Here, because most apps have none, and PyYAML would be loaded for all.
    from jac_converge.config.manifests import manifest_files, read_manifests  # noqa: PLC0415

    files: dict[Path, None] = {}
    for index, pattern in enumerate(patterns):
        found = manifest_files(root, pattern)
        files |= dict.fromkeys(found)
        if not found:
            # A mistake, and not a wish to delete what stood there.
            message = f"there is no file {pattern}; check the path, which starts at jac.toml"
            problems.append(problem_at(layers, ("kubernetes", "extra", index), message))
    folders = dict.fromkeys((root / pattern).parent for pattern in patterns)
    return read_manifests(files, problems), (*folders, *files)


def _name(
    file: Path, documents: Sequence[Document], settings: Settings | None, problems: list[Problem]
) -> str:
    """Take the app's name from where it is given first, as a DNS label."""
    if settings is not None and settings.kubernetes.app_name is not None:
        return settings.kubernetes.app_name
    projects = [layer for document in documents if (layer := document.layer("project"))]
    given = merge(projects).get("name")
    name = given if isinstance(given, str) and given else file.stem
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if label[:1].isdigit():
        label = f"app-{label}"
    if not 0 < len(label) <= _LONGEST_NAME:
        reason = (
            f"is too long for a name (at most {_LONGEST_NAME})" if label else "has no a-z or 0-9"
        )
        message = f"{name!r} {reason}; set [converge.kubernetes] app_name"
        if name is given:
            problems.append(problem_at(projects, ("name",), message))
        else:
            problems.append(Problem(file=shown(file), line=None, key=None, message=message))
    return label
