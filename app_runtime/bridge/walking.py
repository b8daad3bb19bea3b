"""What jaclang's kernel asks at each step of a walk, answered from tables.

The kernel takes its type tags and tables of abilities through a seam, `OspRuntime`. The stock one
asks `issubclass` and makes a new table at each question, some two hundred times in a read of ten
nodes. The answers never change, so here each is worked out once. It changes with that seam.

Source: jaclang 0.16, osp_kernel.jac and osp_kernel_sv.jac.
"""

from typing import Any, Final

from jaclang.jac0core import osp_kernel_sv as stock
from jaclang.jac0core.archetype import EdgeAnchor, NodeAnchor
from jaclang.jac0core.osp_kernel import NodeDesc, OspRuntime, osp_spawn

__all__ = ["spawn_call"]

_ANCHORS: Final = (NodeAnchor, EdgeAnchor)
_tags: dict[type, int] = {}
_kinships: dict[tuple[int, int], bool] = {}
_tables: dict[int, NodeDesc] = {}


def _tag_of(handle: Any) -> int:
    class_ = type(handle.archetype if isinstance(handle, _ANCHORS) else handle)
    tag = _tags.get(class_)
    if tag is None:
        tag = _tags[class_] = stock._tag_for(class_)  # noqa: SLF001 - the tags are its own
    return tag


def _is_a(tag: int, base: int) -> bool:
    kin = _kinships.get((tag, base))
    if kin is None:
        kin = _kinships[tag, base] = bool(stock._sv_is_a(tag, base))  # noqa: SLF001
    return kin


def _table_of(tag: int) -> NodeDesc:
    table = _tables.get(tag)
    if table is None:
        table = _tables[tag] = stock._sv_node_desc(tag)  # noqa: SLF001
    return table


_RUNTIME: Final = OspRuntime(
    tag_of=_tag_of,
    is_a=_is_a,
    node_desc=_table_of,
    on_complete=stock._sv_on_complete,  # noqa: SLF001
)


def spawn_call(walker: Any, nd: Any) -> Any:  # noqa: ARG001 - jaclang's
    """Walk, and return the walker."""
    walking = walker.archetype
    osp_spawn(_RUNTIME, walking, stock.desc_for(type(walking)), list(walker.next))
    return walking
