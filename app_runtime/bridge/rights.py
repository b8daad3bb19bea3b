"""Who may do what with a node or an edge, by what is stored and not by what a walker made of it.

The levels and their order are jaclang's. But jaclang asks the anchor in memory, and whoever can
reach a node may call `grant` on it: so the walker of a stranger could first grant itself the right
to write, and then write. It changes with jaclang's rules of access.
"""

from collections.abc import Mapping
from typing import Any, Final

from jaclang.jac0core.archetype import AccessLevel, Archetype, access_level_cast
from jaclang.jac0core.runtime import JacRuntimeImpl
from jaclang.jac0core.runtime import JacRuntimeInterface as Jac

from jac_converge.app_runtime.bridge.anchors import as_stored, stored_class
from jac_converge.app_runtime.stores import Document

__all__ = ["access_level", "is_system", "may_write", "owns"]

_NOTHING_GRANTED: Final[Mapping[str, Any]] = {"all": AccessLevel.NO_ACCESS.value, "roots": {}}


def access_level(to: Any, no_custom: bool = False) -> Any:  # noqa: FBT001, FBT002 - jaclang's
    """Return what the caller may do with an anchor (jaclang's `check_access_level`)."""
    held = to.__dict__
    if "document" not in held:
        level = JacRuntimeImpl.check_access_level(to, no_custom)  # reads it, if it is stored
        if "document" not in held:
            return level
    document = held["document"]
    context = Jac.get_context()
    if context.user_root is None:
        return AccessLevel.NO_ACCESS
    if _owned(document, context):
        return AccessLevel.WRITE
    if not no_custom and stored_class(document).__jac_access__ is not Archetype.__jac_access__:
        custom = as_stored(to).__jac_access__()
        if custom is not None:
            return access_level_cast(custom)
    return AccessLevel(_granted(document, context, held["known"]))


def may_write(anchor: Any) -> bool:
    """Say whether the caller may write, without a warning if not."""
    return bool(Jac.check_access_level(anchor).value >= AccessLevel.WRITE.value)


def owns(document: Document) -> bool:
    """Say whether a document is the caller's own."""
    return _owned(document, Jac.get_context())


def is_system() -> bool:
    """Say whether nobody is calling, and the server clears up."""
    return _is_system(Jac.get_context())


def _is_system(context: Any) -> bool:
    return bool(context.user_root.id == context.system_root.id)


def _owned(document: Document, context: Any) -> bool:
    id_ = context.user_root.id.hex
    return document.body.get("owner") == id_ or document.id == id_ or _is_system(context)


def _granted(document: Document, context: Any, known: Any) -> int:
    """Return the level by what was granted: by the root of the owner, then by the node itself."""
    caller = str(context.user_root.id)
    own = document.body.get("access", _NOTHING_GRANTED)
    level: int = own["all"]
    owner = document.body.get("owner")
    root = context.mem.get(known.uuid(owner)) if owner else None
    if root is not None and "document" in root.__dict__:
        whole = root.__dict__["document"].body.get("access", _NOTHING_GRANTED)
        level = whole["roots"].get(caller, max(level, whole["all"]))
    granted: int = own["roots"].get(caller, level)
    return granted
