"""What we believe of a real provider, for how long, and how often we ask it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from jac_converge.app_runtime.sso.discovery import Discovery
from jac_converge.app_runtime.sso.errors import ProviderDown
from jac_converge.app_runtime.sso.fetch import Fetcher
from tests.servers.openid_provider import Exchange, OpenIdProvider

METADATA = "/.well-known/openid-configuration"


class Clock:
    """A time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return it."""
        return self.now


@pytest.fixture(autouse=True)
def honest(openid_provider: OpenIdProvider) -> Iterator[None]:
    """Let no lie outlive its test, and count from nought."""
    openid_provider.proxy.honest()
    yield
    openid_provider.proxy.honest()


def ask[T](
    provider: OpenIdProvider, work: Callable[[Discovery, Clock], Awaitable[T]], issuer: str = ""
) -> T:
    """Do something with what the provider publishes."""

    async def run() -> T:
        fetcher, clock = Fetcher(), Clock()
        try:
            return await work(Discovery(fetcher, issuer or provider.issuer, clock=clock), clock)
        finally:
            await fetcher.close()

    return asyncio.run(run())


def test_metadata_is_asked_for_once(openid_provider: OpenIdProvider) -> None:
    """However many ask at the same time; an hour later once more."""

    async def work(discovery: Discovery, clock: Clock) -> int:
        await asyncio.gather(*(discovery.metadata() for _ in range(20)))
        first = openid_provider.proxy.asked(METADATA)
        clock.now += 3601
        await discovery.metadata()
        return first

    assert 1 == ask(openid_provider, work)
    assert 2 == openid_provider.proxy.asked(METADATA)


def test_keys_are_renewed_now_and_then_only(openid_provider: OpenIdProvider) -> None:
    """Tokens with keys that nobody knows cannot make us a burden to the provider."""

    async def work(discovery: Discovery, clock: Clock) -> int:
        for _ in range(50):
            await discovery.newer_keys()
        first = openid_provider.proxy.asked("/jwks")
        clock.now += 61
        await discovery.newer_keys()
        return first

    first = ask(openid_provider, work)
    assert 5 == first
    assert 6 == openid_provider.proxy.asked("/jwks")


def test_known_metadata_outlives_an_outage(openid_provider: OpenIdProvider) -> None:
    """What was believed an hour ago is better than nothing."""

    async def work(discovery: Discovery, clock: Clock) -> bool:
        before = await discovery.metadata()
        openid_provider.proxy.lie = lambda exchange: exchange.answering({}, 502)
        clock.now += 3601
        return before == await discovery.metadata()

    assert ask(openid_provider, work)


def test_failure_is_remembered_for_a_moment(openid_provider: OpenIdProvider) -> None:
    """Three tries, and whoever comes within two seconds makes no further one."""
    openid_provider.proxy.lie = lambda exchange: exchange.answering({}, 502)

    async def work(discovery: Discovery, clock: Clock) -> None:
        for _ in range(5):
            with pytest.raises(ProviderDown):
                await discovery.metadata()
        openid_provider.proxy.lie = lambda exchange: exchange
        clock.now += 3
        await discovery.metadata()

    ask(openid_provider, work)
    assert 4 == openid_provider.proxy.asked(METADATA)


def test_mute_provider_is_given_up(openid_provider: OpenIdProvider) -> None:
    """It accepts connections and answers nothing."""

    async def work(discovery: Discovery, _: Clock) -> None:
        with pytest.raises(ProviderDown, match=r"TimeoutError|ReadTimeout"):
            await discovery.metadata()

    with OpenIdProvider() as own:
        own.freeze()
        ask(own, work)
        own.thaw()
    assert not openid_provider.proxy.asked(METADATA)


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"issuer": "https://evil.example"}, id="another issuer"),
        pytest.param({"issuer": None}, id="no issuer"),
        pytest.param({"token_endpoint": "ftp://127.0.0.1/"}, id="an address that is none"),
        pytest.param({"authorization_endpoint": None}, id="no address"),
        pytest.param({"userinfo_endpoint": 3}, id="a number for an address"),
        pytest.param({"filler": "x" * 600_000}, id="too large"),
    ],
)
def test_metadata_that_is_not_fit_is_not_used(
    openid_provider: OpenIdProvider, lie: dict[str, object]
) -> None:
    """Codes and secrets would go elsewhere."""

    def told(exchange: Exchange) -> Exchange:
        return exchange.answering(exchange.json | lie)

    async def work(discovery: Discovery, _: Clock) -> None:
        with pytest.raises(ProviderDown):
            await discovery.metadata()

    openid_provider.proxy.lie = told
    ask(openid_provider, work)


@pytest.mark.parametrize("keys", [None, {}, ["key"]], ids=["none", "no list", "no objects"])
def test_keys_that_are_not_fit_are_not_used(openid_provider: OpenIdProvider, keys: object) -> None:
    """Nothing is checked with them."""

    def told(exchange: Exchange) -> Exchange:
        return exchange.answering({"keys": keys}) if exchange.path == "/jwks" else exchange

    async def work(discovery: Discovery, _: Clock) -> None:
        with pytest.raises(ProviderDown):
            await discovery.keys()

    openid_provider.proxy.lie = told
    ask(openid_provider, work)


def test_provider_of_another_site_is_followed_nowhere(openid_provider: OpenIdProvider) -> None:
    """A redirect is no answer."""

    def moved(exchange: Exchange) -> Exchange:
        return exchange.answering({}, 302)

    async def work(discovery: Discovery, _: Clock) -> None:
        with pytest.raises(ProviderDown):
            await discovery.metadata()

    openid_provider.proxy.lie = moved
    ask(openid_provider, work)
