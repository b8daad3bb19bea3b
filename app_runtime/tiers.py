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


def open_memory(app: App) -> Memory:
    """Open the tiers that the settings name; waits for MongoDB where it is not there.

    Raises:
        StoreError: one cannot be opened.
    """
    database = app.settings.database
    if database.mongodb_uri is None:
        from jac_converge.app_runtime.stores.shelf import Shelf  # noqa: PLC0415

        if database.redis_url is not None:
            logger.info("redis_url is not used: a shelf is read faster than a cache")
        return _one(app, "shelf", Shelf(shelf_file(app)))
    from jac_converge.app_runtime.stores.mongo import Mongo  # noqa: PLC0415 - 60 ms, 15 MB

    if database.redis_url is None:
        mongo = Mongo.open(database.mongodb_uri.get_secret_value(), database=app.name)
        return _one(app, "mongodb", mongo)
    from jac_converge.app_runtime.stores.background import Threads  # noqa: PLC0415
    from jac_converge.app_runtime.stores.redis import Redis  # noqa: PLC0415 - as above
    from jac_converge.app_runtime.stores.tiered import TieredStore  # noqa: PLC0415

    cache = Redis(database.redis_url.get_secret_value(), ttl=database.redis_default_ttl)
    truth = _one(
        app, "mongodb", Mongo.open(database.mongodb_uri.get_secret_value(), database=app.name)
    )
    return Memory(
        store=TieredStore(cache, truth.store, background=Threads(cache.settle), tally=cache.tally),
        tiers=(*truth.tiers, Tier(name="redis", ping=_asking(cache.ping), needed=False)),
        tallies=(*truth.tallies, cache.tally),
    )


def shelf_file(app: App) -> Path:
    """Return where the shelf of an app is: beside its jac.toml, or beside the app without one."""
    return app.root / app.settings.database.shelf_db_path


def _one(app: App, name: str, store: DocumentStore) -> Memory:
    """Describe a store; counted only where somebody reads the counts, for about 1 µs a question."""
    tally = Tally(tier=name)
    counted = Counted(store, tally) if app.settings.server.metrics_enabled else store
    return Memory(store=counted, tiers=(Tier(name=name, ping=store.ping),), tallies=(tally,))


def _asking(ping: Callable[[], None]) -> Callable[[], None]:
    def ask() -> None:
        try:
            ping()
        except CacheDown as error:
            raise Unavailable(str(error)) from error

    return ask
