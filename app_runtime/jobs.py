"""The jobs of `jac serve` that serve nothing: copy the data out or in, clear it up, make an admin.

It changes when there is another such job.
"""

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import batched
from pathlib import Path
from typing import IO

from jac_converge.app_runtime import leaving, orphans
from jac_converge.app_runtime.auth.account import ADMIN
from jac_converge.app_runtime.auth.accounts import Accounts, Refused
from jac_converge.app_runtime.bridge.citations import of_guests
from jac_converge.app_runtime.bridge.guests import remove_nodes
from jac_converge.app_runtime.bridge.program import AppBroken, Program, new_root
from jac_converge.app_runtime.files import FilesDown
from jac_converge.app_runtime.files.keys import own_folder
from jac_converge.app_runtime.files.opening import open_files
from jac_converge.app_runtime.stores import Conflict, DocumentStore, StoreError, Unreadable
from jac_converge.app_runtime.tiers import open_memory, shelf_file
from jac_converge.app_runtime.transfer import BadFile, NotEmpty, documents, dump, load, told
from jac_converge.config.load import App

__all__ = ["JobFailed", "collect", "create_admin", "export_data", "import_data"]

GRACE = 3600  # s that what nobody leads to stays, beside the longest request
AT_ONCE = 100  # nodes in one commit; each rewrites the edges of its neighbours
UNFOLLOWED = (
    "what it leads to is not known, so what no root leads to stays; mend or delete this document "
    "in the store (--export names all that are damaged)"
)
STANDARD = "-"
BROKEN = (AppBroken, BadFile, FilesDown, OSError, StoreError, UnicodeError)


class JobFailed(Exception):
    """A job did not do what it was asked; the text says why, and what to do."""


def export_data(app: App, target: str) -> str:
    """Write all data of an app to a file, or to standard output; returns what to tell.

    Raises:
        JobFailed: the file is not written, or what came out of standard output is not whole. Or all
            is written but what cannot be read, which the text names.
    """
    lost: list[Unreadable] = []
    with _store(app, "export", must_be_there=True) as store:
        if target == STANDARD:
            kinds = dump(store, sys.stdout, app=app.name, skip=lost.append)
            sys.stdout.flush()
        else:
            with _replacing(Path(target)) as file:
                kinds = dump(store, file, app=app.name, skip=lost.append)
    text = f"exported {kinds.total()} documents ({told(kinds)})"
    if lost:
        raise JobFailed("\n".join([f"{text}, all but {len(lost)}:", *map(str, lost)]))
    return text


def import_data(app: App, source: str) -> str:
    """Write all data of a file, or of standard input, into an empty store; returns what to tell.

    Raises:
        JobFailed: the file is not whole, or the store not empty; nothing was written. Or the store
            failed half-way.
    """
    with _store(app, "import") as store, _readable(source) as file:
        try:
            kinds = load(store, file)
        except NotEmpty as error:
            raise JobFailed(
                f"import failed (NotEmpty): {error}; nothing was written; {_how_to_empty(app)}"
            ) from error
        except Conflict as error:
            raise JobFailed(
                f"import failed half-way: {error}; stop what else writes there, and import again; "
                f"{_how_to_empty(app)}"
            ) from error
    return f"imported {kinds.total()} documents ({told(kinds)})"


def create_admin(app: App, name: str, password: str) -> str:
    """Make an account that is an admin; returns what to tell.

    Raises:
        JobFailed: the name is taken, or name or password are not fit.
    """
    with _store(app, "create-admin") as store:
        try:
            account = Accounts(store, new_root=new_root).register(name, password, role=ADMIN)
        except Refused as error:
            raise JobFailed(f"create-admin failed: {error}; nothing was made") from error
    return f"{account.name} is an admin"


def collect(app: App, *, remove: bool) -> str:
    """Count or remove what no root leads to, and what guests left too long ago.

    Returns:
        What to tell.

    Raises:
        JobFailed: the store failed, holds what cannot be read, or the app does not load.
    """
    now = time.time()
    lines = []
    with _store(app, "collect", must_be_there=True) as store:
        if ttl := app.settings.database.guest_ttl_seconds:
            lines.append(_collect_guests(app, store, _micros(now - ttl), remove=remove))
        if swept := _sweep(app, store, remove=remove):
            lines.append(swept)
        before = _micros(now - GRACE - app.settings.server.request_timeout)
        try:
            lines.append(_collect_orphans(store, before, remove=remove))
        except Unreadable as error:
            raise JobFailed(f"collect failed (Unreadable): {error}; {UNFOLLOWED}") from error
    if not remove:
        lines.append("nothing was removed; --yes removes it")
    return "\n".join(lines)


def _collect_orphans(store: DocumentStore, before: int, *, remove: bool) -> str:
    kinds: Counter[str] = Counter()
    changed = parts = 0
    for island in orphans.find(store, before=before):
        gone = orphans.remove(store, island) if remove else island.kinds
        kinds += gone
        if gone != island.kinds:
            parts += bool(gone)
            changed += not gone
    text = f"{'removed' if remove else 'found'} what no root leads to: {told(kinds)}"
    if changed:
        text += f"; {changed} islands stay, since they changed meanwhile"
    if parts:
        text += f"; of {parts} more a part stays, which changed while the rest was removed"
    return text


def _sweep(app: App, store: DocumentStore, *, remove: bool) -> str:
    """Remove what accounts that left hung on nodes of others; returns what to tell, if anything."""
    if not store.find(leaving.KIND):
        return ""
    if remove:
        Program(app.file)  # its classes are what the nodes are made of
        with closing(open_files(app)) as blobs:
            leaving.resume(store, forget=lambda root: blobs.remove(own_folder(root)))
    number = leaving.sweep(store, remove=remove)
    return f"{'removed' if remove else 'found'} nodes of accounts that left: {number}"


def _collect_guests(app: App, store: DocumentStore, before: int, *, remove: bool) -> str:
    old = [
        document.id
        for document in documents(store)
        if of_guests(document) and document.stamp < before
    ]
    if not remove:
        return f"found nodes of guests that are too old: {len(old)}"
    if old:
        Program(app.file)  # its classes are what the nodes are made of
    removed = sum(remove_nodes(store, ids) for ids in batched(old, AT_ONCE))
    text = f"removed nodes of guests that were too old: {removed}"
    if removed == len(old):
        return text
    return f"{text}; {len(old) - removed} stay: of a class that is gone, or changing all the time"


@contextmanager
def _store(app: App, verb: str, *, must_be_there: bool = False) -> Iterator[DocumentStore]:
    """Open the store, and turn what goes wrong with it, or inside, into `JobFailed`."""
    shelf = shelf_file(app)
    if must_be_there and app.settings.database.mongodb_uri is None and not shelf.exists():
        raise JobFailed(f"{verb} failed: there is no shelf {shelf}; check the app's file")
    try:
        store = open_memory(app, wait=False).store
        try:
            yield store
        finally:
            store.close()
    except BROKEN as error:
        raise JobFailed(f"{verb} failed ({type(error).__name__}): {error}") from error


@contextmanager
def _replacing(file: Path) -> Iterator[IO[str]]:
    """Write a file for its owner alone, which takes the place of another only when it is whole."""
    if not file.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {file.parent} for {file.name}")
    number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(number, "w", encoding="ascii") as writing:
            yield writing
            writing.flush()
            os.fsync(number)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink()
        raise


@contextmanager
def _readable(source: str) -> Iterator[IO[str]]:
    """Give a file that can be read twice."""
    if source == STANDARD:
        with tempfile.TemporaryFile("w+", encoding="ascii") as copy:
            shutil.copyfileobj(sys.stdin, copy)
            copy.seek(0)
            yield copy
    else:
        with Path(source).open(encoding="ascii") as file:
            yield file


def _how_to_empty(app: App) -> str:
    if app.settings.database.mongodb_uri is not None:
        return "to start from nothing, drop the database in MongoDB"
    return f"to start from nothing, stop its servers and move {shelf_file(app)}* away"


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)
