"""What is told when an app is served: where, from which store, by how many processes.

A block on a terminal, a line in a log. It changes with what whoever starts a server wants to know.
"""

import logging
import socket
import sys
from pathlib import Path

from jac_converge.config.load import App

__all__ = ["announce"]

logger = logging.getLogger(__name__)


def announce(app: App, listener: socket.socket, *, reload: bool = False) -> None:
    """Tell it.

    Args:
        app: names and settings.
        listener: where it is.
        reload: whether a save starts it anew.
    """
    server = app.settings.server
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    pages = ["/docs"] if server.docs_enabled else []
    if server.graph_shown(reload=reload) != "off":
        pages.append("/graph")
    workers = f"{server.workers} workers" if server.workers > 1 else "1 worker"
    name = app.file.name
    if not sys.stderr.isatty():
        where = f", {' and '.join(pages)}" if pages else ""
        logger.info(
            "serving %s on %s with %s%s; data in %s", name, url, workers, where, _store(app)
        )
        return
    lines = [("app", url), *((page[1:], url + page) for page in pages), ("data", _store(app))]
    lines.append(("workers", f"{server.workers}{', anew on each save' if reload else ''}"))
    if app.profile:
        lines.append(("profile", app.profile))
    block = "".join(f"  {key:<9}{value}\n" for key, value in lines)
    sys.stderr.write(f"\n  {name} is served; Ctrl-C ends it\n\n{block}\n")


def _store(app: App) -> str:
    """Name the store, without who logs in there."""
    database = app.settings.database
    if database.mongodb_uri is None:
        file = app.root / database.shelf_db_path
        here = Path.cwd()
        return f"the shelf {file.relative_to(here) if file.is_relative_to(here) else file}"
    mongo = _bare(database.mongodb_uri.get_secret_value())
    if database.redis_url is None:
        return mongo
    return f"{mongo}, cached in {_bare(database.redis_url.get_secret_value())}"


def _bare(uri: str) -> str:
    """Drop who logs in, to the last @ since a password may hold one, and options."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
