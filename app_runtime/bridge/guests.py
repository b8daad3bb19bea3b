"""What anonymous callers left behind: removed as a walker would remove it, once it is old.

It changes with what removing a node means.
"""

from collections.abc import Collection
from uuid import UUID

from jaclang.jac0core.runtime import JacRuntime as Jac

from jac_converge.app_runtime.bridge.introspect import FunctionSpec
from jac_converge.app_runtime.bridge.program import SYSTEM_ROOT, Call, Run
from jac_converge.app_runtime.stores import Conflict, DocumentStore

__all__ = ["remove_nodes"]

ATTEMPTS = 5  # runs of one removal; what others change all the time has its turn another day


def remove_nodes(store: DocumentStore, ids: Collection[str]) -> bool:
    """Remove nodes and their edges in one commit; says whether it did.

    Args:
        store: may be in use.
        ids: of nodes; those that are gone, or of no known class, stay as they are.
    """

    def destroy() -> None:
        memory = Jac.get_context().mem
        for anchor in memory.batch_get([UUID(id_) for id_ in ids]).values():
            Jac.destroy(anchor)

    spec = FunctionSpec(
        name="remove_nodes",
        function=destroy,
        fields=(),
        node_fields=frozenset(),
        doc="",
        public=False,
        asynchronous=False,
        returns=None,
    )
    for _ in range(ATTEMPTS):
        with store.exclusive() as view:
            run = Run(Call(spec=spec, fields={}, root=SYSTEM_ROOT), view, too_late=bool)
            try:
                with run.active():
                    run.finish(run.begin())
            except Conflict:
                continue
            return True
    return False
