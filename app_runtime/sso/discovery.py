"""What a provider publishes about itself: its addresses and its keys, asked for when needed.

A provider that is down fails the logins at it and nothing else; what is known of it is used for as
long as it says nothing new. It changes with how long something is believed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from time import monotonic
from typing import Any

from jac_converge.app_runtime.sso.errors import ProviderDown
from jac_converge.app_runtime.sso.fetch import Fetcher

__all__ = ["Discovery"]

logger = logging.getLogger(__name__)

BELIEVED = 3600.0  # s
PAUSE = 2.0  # s after a failure in which nobody asks again
RENEWALS, RENEWAL_SPAN = 5, 60.0  # for keys that we do not know, at most so many in so many s


class _Cached:
    """One document of a provider, asked for by one at a time."""

    def __init__(
        self, ask: Callable[[], Awaitable[dict[str, Any]]], clock: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: dict[str, Any] | None = None
        self._until = 0.0
        self._failed: tuple[float, ProviderDown] | None = None

    async def get(self, *, anew: bool = False) -> dict[str, Any]:
        """Return it; `anew`: as it is now.

        Raises:
            ProviderDown: it was never there.
        """
        async with self._lock:
            if self._known is None or anew or self._clock() >= self._until:
                await self._renew()
            assert self._known is not None  # noqa: S101 - else it has raised
            return self._known

    async def _renew(self) -> None:
        if self._failed is not None and self._clock() < self._failed[0] + PAUSE:
            failure: ProviderDown | None = self._failed[1]
        else:
            failure = await self._tried()
        if failure is not None and self._known is None:
            raise failure
        self._until = self._clock() + (BELIEVED if failure is None else PAUSE)

    async def _tried(self) -> ProviderDown | None:
        try:
            self._known = await self._ask()
        except ProviderDown as error:
            logger.warning("provider failed: %s", error)
            self._failed = self._clock(), error
            return error
        self._failed = None
        return None


class Discovery:
    """The metadata and the keys of one provider."""

    def __init__(
        self,
        fetcher: Fetcher,
        issuer: str,
        *,
        exact: bool = True,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Describe it; nobody is asked before something is needed.

        Args:
            fetcher: asks.
            issuer: URL of the provider.
            exact: it has to call itself just so.
            clock: s.
        """
        self._fetcher = fetcher
        self._issuer = issuer
        self._exact = exact
        self._clock = clock
        self._metadata = _Cached(self._ask_metadata, clock)
        self._keys = _Cached(self._ask_keys, clock)
        self._renewed: list[float] = []

    async def metadata(self) -> dict[str, Any]:
        """Return its metadata (OpenID Connect Discovery 1.0).

        Raises:
            ProviderDown: it was never there.
        """
        return await self._metadata.get()

    async def keys(self) -> list[Mapping[str, Any]]:
        """Return its public keys.

        Raises:
            ProviderDown: they were never there.
        """
        found: list[Mapping[str, Any]] = (await self._keys.get())["keys"]
        return found

    async def newer_keys(self) -> list[Mapping[str, Any]]:
        """Return the keys that it has now, as often as that makes sense."""
        now = self._clock()
        self._renewed = [then for then in self._renewed if then > now - RENEWAL_SPAN]
        if len(self._renewed) < RENEWALS:
            self._renewed.append(now)
            await self._keys.get(anew=True)
        return await self.keys()

    async def _ask_metadata(self) -> dict[str, Any]:
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        found = await self._object(url)
        told = found.get("issuer")
        if not isinstance(told, str) or (self._exact and told != self._issuer):
            text = f"{url} is of another issuer; write issuer as the provider does"
            raise ProviderDown(text)
        for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            self._check(found.get(key), key)
        if "userinfo_endpoint" in found:
            self._check(found["userinfo_endpoint"], "userinfo_endpoint")
        return found

    async def _ask_keys(self) -> dict[str, Any]:
        url: str = (await self.metadata())["jwks_uri"]
        found = await self._object(url)
        keys = found.get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise ProviderDown(f"{url} is no set of keys")
        return found

    async def _object(self, url: str) -> dict[str, Any]:
        answer = await self._fetcher.get(url)
        if answer.status != HTTPStatus.OK or not isinstance(answer.body, dict):
            raise ProviderDown(f"{url} answered {answer.status}")
        return answer.body

    def _check(self, url: Any, key: str) -> None:
        """Refuse what would send codes and secrets in clear, unless the provider is here."""
        schemes = ("https://",) if self._issuer.startswith("https://") else ("https://", "http://")
        if not isinstance(url, str) or not url.startswith(schemes):
            raise ProviderDown(f"{self._issuer} has no {key} that is safe to use")
