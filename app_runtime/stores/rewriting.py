"""Change one document whoever else changes it at the same time. It changes with that policy."""

from collections.abc import Callable

from jac_converge.app_runtime.stores.document import Conflict, Document, DocumentStore, WriteBatch

__all__ = ["rewrite"]


def rewrite(
    store: DocumentStore,
    id_: str,
    change: Callable[[Document | None], Document | None],
    *,
    tries: int,
) -> None:
    """Read a document, and write what is to become of it; again where others were faster.

    Args:
        store: where it is.
        id_: its id.
        change: what is stored, None: nothing -> what to store; None: leave it as it is.
        tries: at least 1.

    Raises:
        Conflict: others changed it all the time.
    """
    for attempt in range(tries):
        stored = store.get([id_]).get(id_)
        wanted = change(stored)
        if wanted is None:
            return None
        new = stored is None
        batch = WriteBatch(creates=(wanted,)) if new else WriteBatch(updates=(wanted,))
        try:
            return store.commit(batch)
        except Conflict:
            if attempt == tries - 1:
                raise
    return None
