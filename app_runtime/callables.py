"""Walkers and functions of an app, called by HTTP, websocket, webhook or the clock.

It changes when there is another way to call them.
"""

import logging

from fastapi import FastAPI

from jac_converge.app_runtime import routes, sockets, webhooks
from jac_converge.app_runtime.audience import Audience
from jac_converge.app_runtime.bridge.introspect import WalkerSpec
from jac_converge.app_runtime.bridge.mistakes import Mistakes
from jac_converge.app_runtime.bridge.program import Program, ensure_system
from jac_converge.app_runtime.bridge.restspecs import BadDeclaration
from jac_converge.app_runtime.endpoint import Server
from jac_converge.app_runtime.schedule import Timetable
from jac_converge.app_runtime.stores import DocumentStore
from jac_converge.app_runtime.stores.bus import Bus
from jac_converge.config.load import App

__all__ = ["install"]

logger = logging.getLogger(__name__)


def install(
    api: FastAPI, app: App, program: Program, server: Server, store: DocumentStore
) -> list[str]:
    """Add them.

    Returns:
        Regular expressions of the paths to which files may be sent.

    Raises:
        BadDeclaration: one cannot be added; a line for each.
    """
    mistakes = Mistakes()
    uploads: list[str] = []
    with mistakes.noted():
        uploads = routes.install(api, program, server)
    with mistakes.noted():
        _add_websockets(api, app, program, server)
    if program.jobs or webhooks.webhooks(program):
        ensure_system(store)
        with mistakes.noted():
            api.state.timetable = Timetable(
                program.jobs, store, server.calls, timeout=app.settings.server.job_timeout
            )
        with mistakes.noted():
            webhooks.install(api, program, server, app.settings.webhooks, store)
    mistakes.tell()
    return uploads


def _add_websockets(api: FastAPI, app: App, program: Program, server: Server) -> None:
    """Add the walkers that are websockets, if there are any.

    Raises:
        BadDeclaration: one cannot be; a line for each.
    """
    settings, specs = app.settings.server, sockets.websockets(program)
    if not specs:
        return
    mistakes, bus = Mistakes(), None
    with mistakes.noted():
        bus = _bus(app, specs)
    audience = Audience(bus, most=settings.websocket_max_connections)
    origins = sockets.Origins(settings.cors_origins, settings.public_url)
    with mistakes.noted():
        sockets.install(api, program, server, audience, origins)
    mistakes.tell()
    api.state.audience = audience


def _bus(app: App, specs: list[WalkerSpec]) -> Bus | None:
    """Return how workers hear of each other's broadcasts.

    Raises:
        BadDeclaration: they could not, and some clients would hear less than others.
    """
    url, workers = app.settings.database.redis_url, app.settings.server.workers
    broadcasting = [spec.name for spec in specs if spec.rest.broadcast]
    if not broadcasting:
        return None
    if url is not None:
        from jac_converge.app_runtime.stores.redis_bus import RedisBus  # noqa: PLC0415 - 60 ms

        return RedisBus(url.get_secret_value(), name=app.name)
    if workers > 1:
        raise BadDeclaration(
            f"{', '.join(broadcasting)} broadcasts, and {workers} workers hear of each other by a "
            "Redis alone; set [converge.database] redis_url (or REDIS_URL), or use one worker"
        )
    if app.settings.database.mongodb_uri is not None:
        names = ", ".join(broadcasting)
        logger.warning("other replicas hear no broadcasts of %s: there is no redis_url", names)
    return None
