"""One line of `[converge.watch] ignore`: which field of which object is left to somebody else.

Spelled as the drift output spells it, so that a line can be copied from there. What a rule then
leaves alone is decided in the reconciler; this module changes when the spelling does.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["IgnoreRule", "parse_rule"]

ROOTS: Final = (
    "automountServiceAccountToken",
    "binaryData",
    "data",
    "imagePullSecrets",
    "immutable",
    "metadata",
    "secrets",
    "spec",
    "stringData",
    "type",
)
"""What a path may begin with; a status is never compared, so there is nothing to ignore in it."""

_RULE: Final = re.compile(
    r"(?P<kind>\*|[A-Z][A-Za-z]*)/(?P<name>[-.*?a-z0-9]+):(?P<path>\S+)"
    r"(?:\s+manager=(?P<manager>\S+))?"
)
FORM: Final = '"Kind/name:field.path", such as "Deployment/shop:spec.replicas manager=vpa-*"'


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRule:
    """Drift of one field, and of all below it, that is left as it is."""

    kind: str
    """`Deployment`, or `*` for every kind."""
    name: str
    """Of the object; `*` and `?` stand for what they do in a shell."""
    path: str
    """Readable: `spec.template.spec.containers[app].resources`."""
    manager: str | None = None
    """Field managers it is left to, with `*` and `?`; None: whoever wrote it."""

    def __str__(self) -> str:
        manager = f" manager={self.manager}" if self.manager else ""
        return f"{self.kind}/{self.name}:{self.path}{manager}"

    def is_about(self, kind: str, name: str) -> bool:
        """Whether it speaks of this object."""
        return self.kind in {"*", kind} and fnmatchcase(name, self.name)

    def covers(self, path: str) -> bool:
        """Whether a readable path is the rule's, or lies below it.

        >>> rule = parse_rule("*/*:metadata.annotations")
        >>> rule.covers("metadata.annotations.example.com/x"), rule.covers("metadata.labels")
        (True, False)
        """
        return path == self.path or path.startswith((f"{self.path}.", f"{self.path}["))

    def is_left_to(self, manager: str) -> bool:
        """Whether it allows this field manager."""
        return self.manager is None or fnmatchcase(manager, self.manager)


def parse_rule(text: str) -> IgnoreRule:
    """Read one line.

    Raises:
        ValueError: it is not a rule; the message says what one is.

    >>> str(parse_rule("Deployment/shop:spec.replicas  manager=vpa-*"))
    'Deployment/shop:spec.replicas manager=vpa-*'
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"must be {FORM}")
    root = re.split(r"[.\[]", found["path"], maxsplit=1)[0]
    if root not in ROOTS:
        raise ValueError(f"must name a field below one of {', '.join(ROOTS)}")
    return IgnoreRule(**found.groupdict())
