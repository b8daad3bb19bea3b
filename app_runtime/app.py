"""The HTTP application, put together: program, store, accounts, calls and routes.

It changes when a part is added.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from jac_converge.app_runtime import (
    callables,
    docs_pages,
    graph_page,
    introspection,
    leaving,
    limits,
    metrics,
    policy,
    probes,
    problems,
    routes,
)
from jac_converge.app_runtime.account_routes import AccountRoutes
from jac_converge.app_runtime.admin_routes import AdminRoutes
from jac_converge.app_runtime.auth.accounts import Accounts
from jac_converge.app_runtime.auth.api_keys import ApiKeys
from jac_converge.app_runtime.auth.sessions import Sessions
from jac_converge.app_runtime.auth.throttle import Throttle
from jac_converge.app_runtime.bridge.introspect import WalkerSpec
from jac_converge.app_runtime.bridge.mistakes import Mistakes
from jac_converge.app_runtime.bridge.program import Program, new_root
from jac_converge.app_runtime.bridge.storing import use
from jac_converge.app_runtime.calls import Calls
from jac_converge.app_runtime.compression import Compression
from jac_converge.app_runtime.door import Door
from jac_converge.app_runtime.endpoint import Server
from jac_converge.app_runtime.file_routes import PATH, FileRoutes
from jac_converge.app_runtime.files import FilesDown
from jac_converge.app_runtime.files.keys import own_folder
from jac_converge.app_runtime.files.links import Links
from jac_converge.app_runtime.files.opening import open_files
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.key_routes import KeyRoutes
from jac_converge.app_runtime.login_routes import LoginRoutes
from jac_converge.app_runtime.middleware import Middleware
from jac_converge.app_runtime.openapi import Described
from jac_converge.app_runtime.problems import answer
from jac_converge.app_runtime.signing import (
    accepted_secrets,
    cookies_of,
    own_secrets,
    tokens_of,
)
from jac_converge.app_runtime.stores import StoreError
from jac_converge.app_runtime.tiers import Memory
from jac_converge.app_runtime.vigil import Vigil
from jac_converge.config.load import App

if TYPE_CHECKING:
    from jac_converge.app_runtime.client_pages import ClientPages
    from jac_converge.app_runtime.mail_routes import MailRoutes

__all__ = ["create_app"]

logger = logging.getLogger(__name__)

GRACE = 10.0  # s beyond a request's time in which a client may ask for a lost answer again


def create_app(app: App, program: Program, memory: Memory, *, reload: bool = False) -> FastAPI:
    """Build the application of one worker process; `state.health` is what it knows of itself.

    Args:
        app: names and settings.
        program: the loaded Jac app.
        memory: open; the application closes it when it ends.
        reload: whether this is for somebody who works on the app.

    Raises:
        StoreError: the store does not answer.
        BadDeclaration: paths or roles do not fit what the app has; a line for each.
    """
    settings, mistakes = app.settings, Mistakes()
    program.ensure_guest(memory.store)
    calls = Calls(
        memory.store,
        max_attempts=settings.conflict_max_attempts if settings.on_conflict == "retry" else 1,
        timeout=settings.server.request_timeout,
    )
    with mistakes.noted():
        policy.restrict(program, settings.server.roles)
    accounts = Accounts(memory.store, new_root=new_root)
    keys = ApiKeys(memory.store, accounts)
    identity = Identity(accounts, keys, tokens_of(app), calls, cookies_of(app))
    api = _empty(app, memory, calls)
    problems.install(api)
    _add_files(api, app)
    server = _server(app, api, calls, identity, program)
    uploads: list[str] = []
    with mistakes.noted():
        uploads = callables.install(api, app, program, server, memory.store)
    introspection.install(api, program, identity)
    door = _add_accounts(api, app, memory, identity, accounts)
    names = frozenset({*program.walkers, *program.functions})
    KeyRoutes(identity, keys, door, callables=names).install(api)
    AdminRoutes(identity, accounts, door, policy.known_roles(program)).install(api)
    probes.install(api, api.state.health)
    if settings.server.docs_enabled:
        docs_pages.install(api)
    with mistakes.noted():
        routes.refuse_shadows(api, program)
    mistakes.tell()
    pages = _add_pages(api, app, program, server, reload=reload)
    _wrap(api, app, uploads)
    if settings.server.metrics_enabled:
        metrics.install(api, memory.tallies, calls)
    if pages is not None:
        pages.install(api)
    return api


def _add_pages(
    api: FastAPI, app: App, program: Program, server: Server, *, reload: bool
) -> "ClientPages | None":
    """Add what a browser shows at `/` and `/graph`.

    Returns:
        The app's own pages, if it has some; they go last, since they answer any path.
    """
    pages, trouble = _pages(app, program, reload=reload)
    if pages is None or not pages.at_start:
        _add_index(api, app, program, trouble)
    shown = app.settings.server.graph_shown(reload=reload)
    if shown != "off":
        # An app that has such a path of its own has it to itself.
        graph_page.install(api, server.calls, server.identity, guests=shown == "everybody")
    return pages


def _pages(app: App, program: Program, *, reload: bool) -> "tuple[ClientPages | None, str]":
    """Return the pages of the app, if some are built or can be, and what a browser is told."""
    client = program.client
    if client is None:
        return None, ""
    from jac_converge.app_runtime.bridge.client_side import NotBuilt  # noqa: PLC0415 - few need it
    from jac_converge.app_runtime.client_pages import ClientPages  # noqa: PLC0415

    script: Path | None
    trouble = ""
    try:
        script = client.build()
    except NotBuilt as error:
        script = client.bundle()
        state = "not served" if script is None else "served as they were built before"
        trouble = f"the pages of {app.file.name} are {state}: {error}"
        logger.warning("%s", trouble)
    # To whoever works on the app, and to nobody else: it names files of this machine.
    trouble = trouble if reload else ""
    return None if script is None else ClientPages(client, script, trouble), trouble


def _empty(app: App, memory: Memory, calls: Calls) -> FastAPI:
    """Make an application without routes; its end is the end of calls and memory."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(api.state.health.watch())
        left = asyncio.create_task(_clear_up(memory, calls, api.state.forget))
        if api.state.timetable is not None:
            api.state.timetable.start()
        yield
        left.cancel()
        watching.cancel()
        if api.state.timetable is not None:
            await api.state.timetable.close()
        if api.state.logins is not None:
            await api.state.logins.close()
        calls.close()
        api.state.files.close()
        if api.state.audience is not None:
            api.state.audience.hang_up()
        memory.store.close()

    server = app.settings.server
    api = Described(
        title=app.name,
        version=_version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to a URL that has the Host of whoever asks
        openapi_url="/openapi.json" if server.docs_enabled else None,
    )
    # Not as an argument, which FastAPI warns of: it wants it of the server, who would put it before
    # each path, also where the proxy has left it there.
    api.root_path = server.root_path
    api.state.health = probes.Health(memory.tiers)
    api.state.calls = calls
    api.state.logins = None
    api.state.audience = api.state.timetable = None
    return api


async def _clear_up(memory: Memory, calls: Calls, forget: leaving.Forget) -> None:
    """Remove files and graphs of accounts that left, where that was interrupted."""
    try:
        await calls.in_thread(partial(leaving.resume, memory.store, forget=forget))
    except (FilesDown, StoreError) as error:
        logger.warning("what accounts that left have made is removed later: %s", error)


def _add_files(api: FastAPI, app: App) -> None:
    """Let `store()` and links work; `state.forget` removes the files of an account."""
    server = app.settings.server
    base = server.root_path if server.public_url is None else server.public_url.rstrip("/")
    blobs = open_files(app)
    links = Links(f"{base}{PATH}", accepted_secrets(app))
    use(blobs, links)
    api.state.files = FileRoutes(blobs, links)
    api.state.files.install(api)
    api.state.forget = lambda root: blobs.remove(own_folder(root))


def _server(app: App, api: FastAPI, calls: Calls, identity: Identity, program: Program) -> Server:
    health = api.state.health
    return Server(
        calls=calls,
        identity=identity,
        middleware=Middleware(program.middleware, identity, calls),
        vigil=Vigil(identity),
        draining=lambda: bool(health.draining),
        max_text=app.settings.server.max_body_bytes,
    )


def _wrap(api: FastAPI, app: App, uploads: list[str]) -> None:
    """Add what each request goes through, whatever its route."""
    server = app.settings.server
    api.add_middleware(
        limits.BodyLimit,
        max_bytes=server.max_body_bytes,
        uploads=uploads,
        max_upload_bytes=server.max_upload_bytes,
        prefix=server.root_path,
        within=server.request_timeout,
    )
    if server.cors_origins:
        api.add_middleware(
            CORSMiddleware,
            allow_origins=server.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-Id"],
            expose_headers=["Retry-After", "X-Request-Id"],
            max_age=600,
        )
    if server.gzip_min_bytes:
        api.add_middleware(Compression, min_bytes=server.gzip_min_bytes)


def _add_accounts(
    api: FastAPI,
    app: App,
    memory: Memory,
    identity: Identity,
    accounts: Accounts,
) -> Door:
    jwt, throttle = app.settings.jwt, Throttle(memory.store, accounts)
    sessions = Sessions(
        memory.store,
        accounts,
        idle=jwt.refresh_token_seconds,
        longest=jwt.session_seconds,
        access=jwt.access_token_seconds + jwt.leeway_seconds,
        grace=app.settings.server.request_timeout + GRACE,
    )
    door = Door(identity, throttle, accounts, sessions)
    LoginRoutes(identity, accounts, sessions, door).install(api)
    forget = api.state.forget
    AccountRoutes(identity, accounts, sessions, door, memory.store, forget=forget).install(api)
    if app.settings.sso:  # also where each is off: its routes say so
        from jac_converge.app_runtime.sso.setup import Who, add_sso  # noqa: PLC0415 - few need it

        who = Who(
            identity=identity,
            accounts=accounts,
            sessions=sessions,
            door=door,
            store=memory.store,
        )
        api.state.logins = add_sso(api, app.settings, own_secrets(app), who)
    if app.settings.mail.smtp_url is not None:
        _mail(app, identity, accounts, sessions, door, throttle).install(api)
    return door


def _mail(  # noqa: PLR0917 - what its routes need
    app: App,
    identity: Identity,
    accounts: Accounts,
    sessions: Sessions,
    door: Door,
    throttle: Throttle,
) -> "MailRoutes":
    from jac_converge.app_runtime.auth.mailer import Mailer  # noqa: PLC0415 - few need it
    from jac_converge.app_runtime.mail_routes import MailRoutes, Pages  # noqa: PLC0415

    mail = app.settings.mail
    url = mail.smtp_url.get_secret_value() if mail.smtp_url is not None else ""
    pages = Pages(app=app.name, verify=mail.verify_url or "", reset=mail.reset_url or "")
    mailer = Mailer(url, mail.sender or "")
    return MailRoutes(
        identity,
        accounts,
        sessions,
        door,
        throttle,
        mailer=mailer,
        pages=pages,
        secrets=accepted_secrets(app),
    )


def _path_of(spec: WalkerSpec) -> str:
    own = f"/{routes.PLACES[spec.rest.protocol]}/{spec.name}"
    # A walker of HTTP is at both.
    return own if spec.rest.protocol == "http" else spec.rest.path or own


def _add_index(api: FastAPI, app: App, program: Program, trouble: str) -> None:
    async def index(request: Request) -> Response:
        """Tell what is served here."""
        if trouble:
            from jac_converge.app_runtime.client_pages import unbuilt  # noqa: PLC0415 - few need it

            if (page := unbuilt(request, trouble)) is not None:
                return page
        prefix = request.scope.get("root_path", "")
        walkers = sorted(program.walkers.items())
        paths = [f"{prefix}{_path_of(spec)}" for _, spec in walkers]
        paths += [f"{prefix}/function/{name}" for name in sorted(program.functions)]
        docs = f"{prefix}/docs" if app.settings.server.docs_enabled else None
        return answer({"name": app.name, "docs": docs, "endpoints": paths})

    api.add_api_route("/", index, tags=["app"])


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - 15 ms of imports, used once

    return version("jac-converge")
