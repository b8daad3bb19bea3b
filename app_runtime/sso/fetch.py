"""Ask a provider something over HTTP: bounded in time and size, and without following it anywhere.

It changes with how much patience a provider deserves.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from jac_converge.app_runtime.sso.errors import ProviderDown

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "Fetcher"]

PATIENCE = 5.0  # s for one answer, from the connection to its last byte
TRIES = 3  # for what may be asked twice
LARGEST = 512 * 1024  # bytes of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a provider answered."""

    status: int
    body: Any
    """JSON."""


class Fetcher:
    """An HTTP client for all providers of an app, opened when it is first needed."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def get(self, url: str, *, token: str | None = None) -> Answer:
        """Ask for JSON, some times if need be.

        Args:
            url: where.
            token: access token.

        Raises:
            ProviderDown: there is no answer that can be read.
        """
        from tenacity import (  # noqa: PLC0415 - nobody pays for it who does not log in like this
            AsyncRetrying,
            retry_if_exception_type,
            stop_after_attempt,
            wait_random_exponential,
        )

        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        retrying = AsyncRetrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_random_exponential(multiplier=0.1, max=1.0),
            retry=retry_if_exception_type(ProviderDown),
            reraise=True,
        )
        answer: Answer = await retrying(self._ask, "GET", url, headers, None)
        return answer

    async def post(self, url: str, *, headers: Mapping[str, str], body: str) -> Answer:
        """Send a form, once: a code is good for one try.

        Raises:
            ProviderDown: there is no answer that can be read.
        """
        return await self._ask("POST", url, headers, body)

    async def close(self) -> None:
        """Let go of connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: str | None
    ) -> Answer:
        import httpx  # noqa: PLC0415 - 0.3 s

        if self._client is None:
            self._client = httpx.AsyncClient(follow_redirects=False, timeout=PATIENCE)
        try:
            # Its own limits are for each read, and a provider may send a byte now and then.
            async with (
                asyncio.timeout(PATIENCE),
                self._client.stream(method, url, headers=dict(headers), content=body) as response,
            ):
                return _answer(response.status_code, await _limited(response))
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            TimeoutError,
            ValueError,
            RecursionError,
        ) as error:
            host = httpx.URL(url).host
            raise ProviderDown(f"{host} {method} failed ({type(error).__name__})") from error


async def _limited(response: "httpx.Response") -> bytes:
    parts = bytearray()
    async for part in response.aiter_bytes():
        parts += part
        if len(parts) > LARGEST:
            raise ValueError("the answer is too large")
    return bytes(parts)


def _answer(status: int, content: bytes) -> Answer:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ValueError(f"HTTP {status}")
    return Answer(status=status, body=json.loads(content))
