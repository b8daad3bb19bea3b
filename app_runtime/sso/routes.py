"""Routes by which a browser logs in at a provider, comes back, and picks up its tokens.

It changes with what clients of such logins ask for.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, FastAPI, Query, Request, Security
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from jac_converge.app_runtime.auth.account import Account
from jac_converge.app_runtime.auth.audit import audit
from jac_converge.app_runtime.auth.tokens import Claims
from jac_converge.app_runtime.bodies import CheckedRoute
from jac_converge.app_runtime.door import Door
from jac_converge.app_runtime.identity import Identity
from jac_converge.app_runtime.login_routes import FAILURES
from jac_converge.app_runtime.problems import NO_STORE, Problem, answer, refusal
from jac_converge.app_runtime.signatures import Failure
from jac_converge.app_runtime.sso import cookies
from jac_converge.app_runtime.sso.attempt import Attempt
from jac_converge.app_runtime.sso.errors import ProviderDown, Refused, SsoError
from jac_converge.app_runtime.sso.linking import Entrance
from jac_converge.app_runtime.sso.logins import LIFETIME, STATE, Begun, Logins, cookie_of, speaker
from jac_converge.app_runtime.sso.person import Person
from jac_converge.app_runtime.sso.pickup import LIFETIME as PICKUP_LIFETIME
from jac_converge.app_runtime.sso.pickup import Pickup
from jac_converge.app_runtime.sso.site import Site

__all__ = ["SsoRoutes"]

logger = logging.getLogger(__name__)

PICKUP = "sso-code"  # cookie
MOST_BEGUN = 8  # logins of one browser at the same time
LARGEST_FORM = 64 * 1024  # bytes
BROUGHT_BACK = ("code", "state", "iss", "error")
Next = Annotated[
    str | None, Query(alias="next", max_length=1024, description="Where to go afterwards.")
]
Challenge = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z0-9_-]{43}$",
        description="PKCE (S256) of a client on another site than the app.",
    ),
]


class Code(BaseModel):
    """A code that a browser was sent to a page with."""

    code: str = Field(max_length=4096)
    code_verifier: str | None = Field(default=None, max_length=128)


class Linking(BaseModel):
    """The proof that the owner is asking."""

    current_password: str | None = None


class SsoRoutes:
    """The routes, and what they do."""

    def __init__(
        self,
        identity: Identity,
        logins: Logins,
        entrance: Entrance,
        pickup: Pickup,
        *,
        site: Site,
        door: Door,
    ) -> None:
        """Describe them.

        Args:
            identity: says whose a token is.
            logins: at providers.
            entrance: to accounts.
            pickup: of tokens.
            site: where the app is.
            door: asks for the password of who links.
        """
        self._identity = identity
        self._logins = logins
        self._entrance = entrance
        self._pickup = pickup
        self._site = site
        self._door = door

    def install(self, app: FastAPI) -> None:
        """Add the routes."""
        router = APIRouter(
            prefix="/sso",
            tags=["sso"],
            route_class=CheckedRoute,
            responses=FAILURES | {404: {"model": Failure}},
        )
        add, required = router.add_api_route, Security(self._identity.required)

        async def post_link(
            provider: str,
            request: Request,
            body: Linking | None = None,
            next_: Next = None,
            claims: Claims = required,
        ) -> Response:
            """Begin to link one's own account; the answer has the URL to send the browser to."""
            return await self._link(request, provider, next_, claims, body or Linking())

        add("", self.providers, methods=["GET"])
        add("/token", self._token, methods=["POST"])
        add("/{provider}/login", self.login, methods=["GET"], status_code=302)
        add("/{provider}/register", self.register, methods=["GET"], status_code=302)
        add("/{provider}/link", post_link, methods=["POST"])
        add("/{provider}/callback", self.callback, methods=["GET"])
        add("/{provider}/callback", self.by_form, methods=["POST"], status_code=303)
        app.include_router(router)

    async def providers(self) -> Response:
        """List the providers at which one may log in."""
        return answer({"providers": list(self._logins.settings)})

    async def login(
        self, provider: str, request: Request, next_: Next = None, code_challenge: Challenge = None
    ) -> Response:
        """Send a browser to a provider to log in."""
        return await self._begin(request, provider, "login", next_, code_challenge)

    async def register(
        self, provider: str, request: Request, next_: Next = None, code_challenge: Challenge = None
    ) -> Response:
        """Send a browser to a provider to log in, and make an account if there is none."""
        return await self._begin(request, provider, "register", next_, code_challenge)

    async def _begin(
        self,
        request: Request,
        provider: str,
        operation: str,
        next_: str | None,
        challenge: str | None,
    ) -> Response:
        try:
            attempt = self._attempt(request, provider, operation, next_, challenge=challenge)
            begun = await self._logins.begin(attempt)
        except SsoError as error:
            raise _problem(error) from error
        response = RedirectResponse(begun.url, 302, headers=NO_STORE)
        self._keep(request, response, begun)
        return response

    async def _link(
        self, request: Request, provider: str, next_: str | None, claims: Claims, body: Linking
    ) -> Response:
        """Begin to link.

        By a POST with a token, so that no other site can begin it for somebody: whoever could
        would let them into an account of his from then on, or himself into theirs. And with the
        password, or whoever has found a token would have a way in that outlives it.
        """

        def prove(account: Account) -> None:
            self._door.prove(account, claims, body.current_password)

        await self._door.proven("sso_link", claims, prove, request)
        try:
            attempt = self._attempt(request, provider, "link", next_, speaker=asdict(claims))
            begun = await self._logins.begin(attempt)
        except SsoError as error:
            raise _problem(error) from error
        response = answer({"url": begun.url}, headers=NO_STORE)
        self._keep(request, response, begun)
        return response

    async def by_form(self, provider: str, request: Request) -> Response:
        """Take what a provider sends by a form, as Apple does."""
        # The browser comes here once more, by a GET: only then does it bring our cookie along.
        raw = await request.body()
        if len(raw) > LARGEST_FORM:
            raise Problem(413, "the form is too large")
        sent = dict(parse_qsl(raw.decode("ascii", "replace")))
        kept = {key: sent[key] for key in BROUGHT_BACK if key in sent}
        self._logins_check(provider)
        url = f"{self._site.callback(request, provider)}?{urlencode(kept)}"
        return RedirectResponse(url, 303, headers=NO_STORE)

    async def callback(self, provider: str, request: Request) -> Response:
        """End a login: the provider sends the browser here."""
        secure = self._site.is_secure(request)
        params = {k: v for k, v in request.query_params.items() if k in BROUGHT_BACK}
        self._logins_check(provider)
        try:
            attempt = self._logins.attempt(
                provider,
                params.get("state"),
                lambda name: cookies.read(request, name, secure=secure),
            )
        except SsoError as error:
            audit("sso_failed", request)
            raise _problem(error) from error
        response = await self._ended(request, attempt, params)
        cookies.clear(response, cookie_of(attempt), secure=secure)
        return response

    async def _ended(
        self, request: Request, attempt: Attempt, params: Mapping[str, str]
    ) -> Response:
        """End a login, whatever comes of it, at the page that it began for."""
        try:
            person = await self._logins.person(attempt, params, self._identity.in_time)
            return await self._entered(request, attempt, person)
        except SsoError as error:
            problem = _problem(error)
            audit("sso_failed" if isinstance(error, Refused) else "sso_unavailable", request)
            if attempt.next is None:
                return refusal(problem)
            return _to(attempt.next, error=problem.code, message=problem.message)

    async def _entered(self, request: Request, attempt: Attempt, person: Person) -> Response:
        settings = self._logins.settings[attempt.provider]
        claims = speaker(attempt)
        if claims is not None:
            return await self._linked(request, attempt, person, claims)
        account, event = await self._identity.in_time(
            lambda: self._entrance.enter(
                person, settings, register=attempt.operation == "register"
            ),
            writes=True,
        )
        audit(f"sso_{event}", request, account)
        if attempt.next is None:
            return await self._opened(request, account, 201 if event == "register" else 200)
        code, cookie = self._pickup.give(account, attempt)
        response = _to(attempt.next, code=code)
        if cookie is not None:
            secure = self._site.is_secure(request)
            cookies.write(response, PICKUP, cookie, secure=secure, lifetime=PICKUP_LIFETIME)
        return response

    async def _linked(
        self, request: Request, attempt: Attempt, person: Person, claims: Claims
    ) -> Response:
        settings = self._logins.settings[attempt.provider]

        def link() -> None:
            # Again, since a logout or a new password may have ended it meanwhile.
            self._entrance.link(person, settings, self._identity.account(claims))

        await self._identity.in_time(link, writes=True)
        audit("sso_link", request, claims.account)
        if attempt.next is None:
            return answer({"linked": attempt.provider}, headers=NO_STORE)
        return _to(attempt.next, linked=attempt.provider)

    async def _token(self, body: Code, request: Request) -> Response:
        """Exchange the code of a page for tokens, once."""
        cookie = cookies.read(request, PICKUP, secure=self._site.is_secure(request))

        def take() -> str:
            return self._pickup.take(body.code, verifier=body.code_verifier, cookie=cookie)

        try:
            account = await self._identity.in_time(take, writes=True)
        except SsoError as error:
            audit("sso_code_refused", request)
            raise _problem(error) from error
        response = await self._opened(request, account, 200)
        cookies.clear(response, PICKUP, secure=self._site.is_secure(request))
        return response

    async def _opened(self, request: Request, account: str, status: int) -> Response:
        session = await self._identity.in_time(self._entrance.open, account, writes=True)
        if session is None:
            raise Problem(401, "the account is gone")
        return self._identity.opened(session, request, status)

    def _attempt(
        self, request: Request, provider: str, operation: str, next_: str | None, **more: Any
    ) -> Attempt:
        """Check what a login begins with.

        Raises:
            Refused: there is no such provider, or no such page.
        """
        self._logins.check(provider)
        proof = operation == "link" or more.get("challenge") is not None
        page = self._site.page(request, next_, proof=proof)
        back = self._site.callback(request, provider)
        return Attempt.begin(provider, operation, back, next=page, **more)

    def _keep(self, request: Request, response: Response, begun: Begun) -> None:
        secure = self._site.is_secure(request)
        cookies.clear_oldest(request, response, STATE, secure=secure, but=MOST_BEGUN - 1)
        cookies.write(response, begun.cookie, begun.note, secure=secure, lifetime=LIFETIME)

    def _logins_check(self, provider: str) -> None:
        try:
            self._logins.check(provider)
        except SsoError as error:
            raise _problem(error) from error


def _problem(error: SsoError) -> Problem:
    if isinstance(error, ProviderDown):
        # What it says may be about our configuration, which is for the log.
        logger.warning("a login at a provider failed: %s", error)
        text = "the provider does not answer as it should; try again in a moment"
        return Problem(error.status, text, code=error.code, headers={"Retry-After": "5"})
    return Problem(error.status, str(error), code=error.code)


def _to(page: str, **params: str) -> Response:
    """Send a browser to a page, with parameters."""
    parts = urlsplit(page)
    query = "&".join(filter(None, (parts.query, urlencode(params))))
    return RedirectResponse(parts._replace(query=query).geturl(), 302, headers=NO_STORE)
