"""The call that changes nothing: may this caller be here, and read that node?

It changes with what it takes to listen.
"""

from jaclang.jac0core.archetype import NodeArchetype

from jac_converge.app_runtime.bridge.introspect import FunctionSpec
from jac_converge.app_runtime.bridge.restspecs import RestSpec

__all__ = ["LISTEN"]


def _listen(node: object) -> bool:
    return node is not None


LISTEN = FunctionSpec(
    name="listen",
    function=_listen,
    fields=(),
    node_fields={"node": (NodeArchetype,)},
    files={},
    rest=RestSpec(),
    doc="",
    public=True,
    asynchronous=False,
    returns=bool,
)
"""Takes the id of a node, or None."""
