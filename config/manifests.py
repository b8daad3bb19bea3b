"""The manifests that jac.toml names, read from disk: where each stands, and what it says.

What may stand in one is for the reconciler to say; here it only has to be YAML that is JSON too, as
the API server speaks it. It changes when manifests come from somewhere else.
"""

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from jac_converge.config.layers import shown
from jac_converge.config.problems import Problem

__all__ = ["Manifest", "manifest_files", "read_manifests"]

_LARGEST: Final = 3 << 20
"""Characters that a document may have, with what its aliases stand for: the API server takes no
larger request, and a few lines of aliases can stand for more than fits into memory."""

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One YAML document."""

    file: str
    """As the user would name it."""
    line: int
    """Of its first key, counted from 1."""
    content: Mapping[str, Any] = field(repr=False)
    """Plain JSON; it may be a Secret."""


_PYTHONS_OWN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What Python says, through PyYAML, to a text that is no number, no time, or nested too deep."""


class _Loader(yaml.SafeLoader):
    """YAML as kubectl takes it: no dates, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's own
        """Refuse a repeated key, of which PyYAML would take the last."""
        seen: set[str] = set()
        for key, _ in node.value:
            # Another key than a plain one is refused by PyYAML.
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {key.value!r} stands there twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's own
        """Give the line of a value that is not what its tag says: `!!int x`."""
        try:
            return super().construct_object(node, deep=deep)
        except _PYTHONS_OWN as error:
            raise _NoManifestError(node.start_mark.line + 1) from error


# A date stays the text that it is: JSON has none.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def manifest_files(root: Path, pattern: str) -> tuple[Path, ...]:
    """The files that a pattern stands for, sorted; wildcards are in the file's name only."""
    path = root / pattern
    return tuple(sorted(found for found in path.parent.glob(path.name) if found.is_file()))


def read_manifests(files: Iterable[Path], problems: list[Problem]) -> tuple[Manifest, ...]:
    """Read every document of every file; add what is wrong to `problems`."""
    found: list[Manifest] = []
    for file in files:
        name = shown(file)
        try:
            found += _documents(name, file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            message = f"cannot be read ({type(error).__name__}); check the file, or the pattern"
            problems.append(Problem(file=name, line=None, key=None, message=message))
        except yaml.YAMLError as error:
            # Its text quotes the file, which may hold secrets: the problem alone does not.
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "it has characters that YAML has not"
            line = mark.line + 1 if mark else None
            message = f"is not YAML: {problem}; fix the syntax"
            problems.append(Problem(file=name, line=line, key=None, message=message))
        except _NoManifestError as error:
            message = (
                "is no manifest, or far too large for one: write a table of plain text, numbers, "
                "lists and tables"
            )
            problems.append(Problem(file=name, line=error.line, key=None, message=message))
    return tuple(found)


class _NoManifestError(Exception):
    """YAML can say it, the API server cannot take it."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _documents(name: str, text: str) -> Iterator[Manifest]:
    loader = _Loader(text)
    try:
        while loader.check_node() and (node := loader.get_node()) is not None:
            line = node.start_mark.line + 1
            if _size(node, {}) > _LARGEST:
                raise _NoManifestError(line)
            content = _as_json(loader.construct_document(node), line)
            # Nothing between two separators, or comments alone.
            if content is not None:
                yield Manifest(file=name, line=line, content=content)
    except _PYTHONS_OWN as error:
        raise _NoManifestError(loader.line + 1) from error
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """How much a node stands for, in characters; an alias is the very node that it names."""
    if not isinstance(node, yaml.CollectionNode):
        return 1 + len(node.value)
    if id(node) not in known:
        # One that holds itself is refused later, for it is no JSON.
        known[id(node)] = 0
        inner = (part for it in node.value for part in (it if isinstance(it, tuple) else (it,)))
        known[id(node)] = 1 + sum(_size(part, known) for part in inner)
    return known[id(node)]


def _as_json(content: Any, line: int) -> dict[str, Any] | None:
    try:
        plain = json.loads(json.dumps(content, allow_nan=False))
    except (RecursionError, TypeError, ValueError) as error:
        raise _NoManifestError(line) from error
    if not isinstance(plain, dict | None):
        raise _NoManifestError(line)
    return plain
