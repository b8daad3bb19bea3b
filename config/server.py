"""The typed `[converge.server]` table: the HTTP server. It changes when that gets a setting."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from jac_converge.config.spelling import (
    EndpointName,
    Given,
    Listed,
    Network,
    Number,
    Origin,
    Port,
    ReturnUrl,
    RoleName,
    RootPath,
    Url,
    Whole,
)
from jac_converge.config.table import TABLE

__all__ = ["ServerSettings"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServerSettings(BaseModel):
    """`[converge.server]`: the HTTP server of `jac serve`, and of every pod."""

    model_config = TABLE

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on. Loopback, so that a laptop exposes nothing unasked; pods: 0.0.0.0."""

    port: Port = 8000
    """TCP port. Never changed in silence: a port in use is an error."""

    workers: Whole[Annotated[int, Field(ge=1, le=64)]] = 1
    """Worker processes behind the port. One process keeps about one core busy."""

    docs_enabled: bool = True
    """Serve `/docs`, `/redoc` and `/openapi.json`. Off hides all three."""

    graph_page: Given[Literal["off", "accounts", "everybody"]] = None
    """Who may look at their graph on `/graph`: nobody, whoever has an account, or anonymous callers
    at the root that they share, too. None: everybody under `--reload` on a loopback address, else
    nobody, since the page shows fields of one's own nodes that no walker reports."""

    metrics_enabled: bool = False
    """Serve `/metrics` for Prometheus. Off by default: whoever may call the app may read it."""

    cors_origins: tuple[Origin, ...] = ()
    """Origins that browsers may call from. None by default: nobody else's page reads this API."""

    trusted_proxies: Listed[tuple[Network, ...]] = ()
    """Addresses and networks of proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are believed
    (environment: FORWARDED_ALLOW_IPS, with commas). None by default: a client could send them."""

    access_log: Given[bool] = None
    """Log a line for each request. None: where standard error is a terminal."""

    gzip_min_bytes: Whole[Annotated[int, Field(ge=0)]] = 1024
    """Size, in bytes, from which an answer is compressed for who takes that; 0: never."""

    root_path: RootPath = ""
    """Path prefix that a proxy strips before requests arrive, such as `/api`."""

    public_url: Given[Url] = None
    """URL at which browsers reach the app, such as `https://shop.example`, for links back to it
    (logins at other providers). None: taken from each request, as a trusted proxy forwards it."""

    return_urls: tuple[ReturnUrl, ...] = ()
    """Pages of other sites that a browser may be sent to after a login at a provider, each with
    all below it if it ends with `/`; the first is where one goes that names none. The app's own
    pages need not be here."""

    session_cookies: bool = False
    """Keep sessions in cookies that no script reads, for browsers that ask for it by the header
    `X-Session: cookie`. Needs `public_url`, which says whether they are for TLS alone."""

    roles: dict[EndpointName, Annotated[tuple[RoleName, ...], Field(min_length=1)]] = {}
    """Who may call: name of a walker or function -> roles, one of which is needed, in place of
    those that `@roles` says in the code. An admin gives roles, by `PUT /admin/users/NAME`."""

    max_body_bytes: Whole[Annotated[int, Field(ge=1024)]] = 8 * 1024 * 1024
    """Largest request body, in bytes; beyond it 413."""

    max_upload_bytes: Whole[Annotated[int, Field(ge=1024)]] = 64 * 1024 * 1024
    """Largest body of a call that takes files, in bytes; they are on disk, not in memory."""

    websocket_max_bytes: Whole[Annotated[int, Field(ge=1024)]] = 1024 * 1024
    """Largest message of a websocket, in bytes; beyond it the connection is closed, with 1009."""

    websocket_max_connections: Whole[Annotated[int, Field(ge=0)]] = 1000
    """Websockets that one worker process holds at most; beyond them 503."""

    request_timeout: Number[Annotated[float, Field(gt=0, le=86400)]] = 60.0
    """Seconds that a request may take before the client gets a 504."""

    job_timeout: Number[Annotated[float, Field(gt=0, le=7 * 86400)]] = 3600.0
    """Seconds that a `@schedule` job may take before it is given up."""

    drain_seconds: Whole[Annotated[int, Field(ge=0, le=600)]] = 30
    """Seconds that requests in flight get to finish after SIGTERM or Ctrl-C."""

    def graph_shown(self, *, reload: bool) -> Literal["off", "accounts", "everybody"]:
        """Return who may look at their graph, under `--reload` or without."""
        if self.graph_page is not None:
            return self.graph_page
        return "everybody" if reload and self.host in _LOOPBACK else "off"
