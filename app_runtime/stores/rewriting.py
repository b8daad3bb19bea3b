"""Change one document whoever else changes it at the same time. It changes with that policy."""

from collections.abc import Callable

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from jac_converge.app_runtime.stores.document import Conflict, Document, DocumentStore, WriteBatch
from jac_converge.app_runtime.stores.turns import Turns

__all__ = ["rewrite"]

_TURNS = Turns()


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
    try:
        _once(store, id_, change)
    except Conflict:
        if tries == 1:
            raise
    else:
        return
    # Who lost waits for the others of this process that lost, and then steps aside for other ones.
    with _TURNS.of([id_]):
        for attempt in Retrying(
            stop=stop_after_attempt(tries - 1),
            wait=wait_random_exponential(multiplier=0.002, max=0.05),
            retry=retry_if_exception_type(Conflict),
            reraise=True,
        ):
            with attempt:
                _once(store, id_, change)


def _once(
    store: DocumentStore, id_: str, change: Callable[[Document | None], Document | None]
) -> None:
    stored = store.get([id_]).get(id_)
    wanted = change(stored)
    if wanted is not None:
        new = stored is None
        store.commit(WriteBatch(creates=(wanted,)) if new else WriteBatch(updates=(wanted,)))
