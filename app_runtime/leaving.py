"""Somebody leaves: first the account goes, in one commit, and then the graph of it, in many.

The commit leaves a record, so whatever dies in between is carried on with at the next start, or by
`--collect`. That also looks where the graph does not lead: what the account hung on nodes of
others. It changes with what goes with an account.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import batched

from jac_converge.app_runtime.auth.account import Account, belongings
from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.bridge.citations import citations
from jac_converge.app_runtime.bridge.guests import remove_nodes
from jac_converge.app_runtime.stores import (
    Conflict,
    Document,
    DocumentStore,
    Removal,
    StoreError,
    WriteBatch,
)
from jac_converge.app_runtime.transfer import PAGE, documents

__all__ = ["KIND", "leave", "resume", "sweep"]

logger = logging.getLogger(__name__)

KIND = "leaving"
AT_ONCE = 100  # nodes in one commit; each rewrites the edges of its neighbours


def leave(store: DocumentStore, accounts: Accounts, account: Account) -> None:
    """Remove an account, with all that speaks for it, and then its graph.

    Raises:
        Refused: it changed meanwhile; it is still there.
    """
    root = account.root.hex
    body = {"root": root, "account": account.id}
    accounts.remove(account, record=Document(id=f"{KIND}:{root}", kind=KIND, body=body))
    try:
        _clear(store, root)
    except StoreError as error:
        # The account is gone, so that is what to tell; the record stays.
        logger.warning("the graph of an account that left is removed later: %s", error)


def resume(store: DocumentStore) -> None:
    """Carry on where a process died, or the store failed."""
    for record in store.find(KIND):
        if not record.body.get("cleared"):
            _clear(store, record.body["root"])


def sweep(store: DocumentStore, *, remove: bool) -> int:
    """Remove or count the nodes that accounts which left hung elsewhere.

    Returns:
        How many nodes were removed, or found.
    """
    records = {record.body["root"]: record for record in store.find(KIND)}
    if not records:
        return 0
    found = [
        one.id for one in documents(store) if one.body.get("owner") in records and _is_node(one)
    ]
    if not remove:
        return len(found)
    for record in records.values():
        _clear_belongings(store, record)
    removed = _remove(store, found)
    if removed == len(found):
        gone = tuple(Removal(id=one.id, version=one.version) for one in store.find(KIND))
        roots = {one.id for one in records.values()}
        store.commit(WriteBatch(removals=tuple(one for one in gone if one.id in roots)))
    return removed


def _clear(store: DocumentStore, root: str) -> None:
    """Remove the nodes of an account that its root leads to, and the root."""
    ids = list(_own(store, root))
    stay = len(ids) - _remove(store, ids)
    if stay:
        logger.warning("%d nodes of an account that left stay; --collect looks again", stay)
    _remove(store, [root])
    key = f"{KIND}:{root}"
    record = store.get([key]).get(key)
    if record is not None:
        _clear_belongings(store, record)
        body = {**record.body, "cleared": True}
        store.commit(WriteBatch(updates=(record._replace(body=body),)))


def _clear_belongings(store: DocumentStore, record: Document) -> None:
    """Remove what was written for an account by who had read it before it went: a key, a login."""
    account = record.body.get("account")
    found = store.get(belongings(account)) if account is not None else {}
    gone = tuple(Removal(id=one.id, version=one.version) for one in found.values())
    if gone:
        with suppress(Conflict):  # it comes to an end: nobody reads that account any more
            store.commit(WriteBatch(removals=gone))


def _remove(store: DocumentStore, ids: Iterable[str]) -> int:
    return sum(remove_nodes(store, part) for part in batched(ids, AT_ONCE))


def _own(store: DocumentStore, root: str) -> Iterator[str]:
    """Follow the edges of a root through nodes of the same owner."""
    seen, frontier = {root}, [root]
    while frontier:
        page = frontier[-PAGE:]
        del frontier[-PAGE:]
        for document in store.get(page).values():
            own = document.id == root or document.body.get("owner") == root
            if _is_node(document) and own and document.id != root:
                yield document.id
            if own or document.kind in ("edge", "page"):
                new = [id_ for id_ in citations(document) if id_ not in seen]
                seen.update(new)
                frontier += new


def _is_node(document: Document) -> bool:
    return document.kind == "node"
