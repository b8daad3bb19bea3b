"""The tiers of memory that the settings ask for: opened, counted, and asked for a sign of life.

It changes when a tier is added.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jac_converge.app_runtime.probes import Tier
from jac_converge.app_runtime.stores import DocumentStore, Unavailable
from jac_converge.app_runtime.stores.cache import CacheDown
from jac_converge.app_runtime.stores.tally import Counted, Tally
from jac_converge.config.load import App

__all__ = ["Memory", "open_memory", "shelf_file"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All tiers as one store, and each of them by name."""

    store: DocumentStore
    """Closes every tier."""
    tiers: tuple[Tier, ...]
    tallies: tuple[Tally, ...]


def open_memory(app: App, *, wait: bool = True) -> Memory:
    """Open the tiers that the settings name.

    Args:
        app: names and settings.
        wait: for a MongoDB that is not there, for as long as it takes.

    Raises:
        StoreError: one cannot be opened.
    """
    database = app.settings.database
    if database.mongodb_uri is None:
        from jac_converge.app_runtime.stores.shelf import Shelf  # noqa: PLC0415

        if database.redis_url is not None:
            logger.info("redis_url is not used as a cache: a shelf is read faster")
        return _one("shelf", Shelf(shelf_file(app)), _tally(app, "shelf"))
    from jac_converge.app_runtime.stores.guarded import Guarded  # noqa: PLC0415
    from jac_converge.app_runtime.stores.mongo import Mongo  # noqa: PLC0415 - 60 ms, 15 MB

    uri, tally = database.mongodb_uri.get_secret_value(), _tally(app, "mongodb")
    mongo = Mongo.open(uri, database=app.name, tally=tally, wait=wait)
    guarded = Guarded(mongo, subject="MongoDB", answers=mongo.answers, is_silence=mongo.is_silence)
    truth = _one("mongodb", guarded, tally)
    if database.redis_url is None:
        return truth
    from jac_converge.app_runtime.stores.background import Threads  # noqa: PLC0415
    from jac_converge.app_runtime.stores.redis import Redis  # noqa: PLC0415 - as above
    from jac_converge.app_runtime.stores.tiered import TieredStore  # noqa: PLC0415

    cache = Redis(database.redis_url.get_secret_value(), ttl=database.redis_default_ttl)
    return Memory(
        store=TieredStore(cache, truth.store, background=Threads(cache.settle), tally=cache.tally),
        tiers=(*truth.tiers, Tier(name="redis", ping=_asking(cache.ping), needed=False)),
        tallies=(*truth.tallies, cache.tally),
    )


def shelf_file(app: App) -> Path:
    """Return where the shelf of an app is: beside its jac.toml, or beside the app without one."""
    return app.root / app.settings.database.shelf_db_path


def _tally(app: App, tier: str) -> Tally | None:
    """Count only where somebody reads the counts: it takes about 1 µs a question."""
    return Tally(tier=tier) if app.settings.server.metrics_enabled else None


def _one(name: str, store: DocumentStore, tally: Tally | None) -> Memory:
    tiers = (Tier(name=name, ping=store.ping),)
    if tally is None:
        return Memory(store=store, tiers=tiers, tallies=())
    return Memory(store=Counted(store, tally), tiers=tiers, tallies=(tally,))


def _asking(ping: Callable[[], None]) -> Callable[[], None]:
    def ask() -> None:
        try:
            ping()
        except CacheDown as error:
            raise Unavailable(str(error)) from error

    return ask
