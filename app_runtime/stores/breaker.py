"""A circuit breaker: after one failure nobody asks again until a probe has had an answer.

Whoever is on the way when a server hangs waits for one time-out; everybody after that, for
nothing. It changes with how an outage is noticed and said.
"""

import logging
import threading
import time
from collections.abc import Callable

import tenacity

from jac_converge.app_runtime.stores.cache import CacheDown

__all__ = ["Breaker"]

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0  # s between probes


class Breaker:
    """Closed while its subject answers; open from a failure to the next answered probe."""

    def __init__(
        self,
        probe: Callable[[], None],
        *,
        subject: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """Begin closed.

        Args:
            probe: asks for a sign of life, in a thread of ours; raises `CacheDown`.
            subject: for the log.
            clock: s, from anywhere.
            sleep: called with s between probes; the end of the breaker wakes the default.
        """
        self._probe = probe
        self._subject = subject
        self._clock = clock
        self._stop = threading.Event()
        self._sleep = sleep or tenacity.sleep_using_event(self._stop)
        self._lock = threading.Lock()
        self._since: float | None = None

    def check(self) -> None:
        """Raise `CacheDown` where there is no use in asking."""
        if self._since is not None:
            raise CacheDown(f"{self._subject} does not answer; the next probe will tell")
        if self._stop.is_set():
            raise CacheDown(f"{self._subject} is closed")

    def trip(self, why: CacheDown) -> None:
        """Note a failure; the first of an outage is said, and starts the probes."""
        with self._lock:
            if self._since is not None or self._stop.is_set():
                return
            self._since = self._clock()
        logger.warning("%s; reading and writing without it until it answers", why)
        threading.Thread(target=self._watch, name="cache-probe", daemon=True).start()

    def close(self) -> None:
        """End: no more probes."""
        self._stop.set()

    def _watch(self) -> None:
        # A pause first: the failure has just happened.
        self._sleep(FIRST_WAIT)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(CacheDown),
            wait=tenacity.wait_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)
            + tenacity.wait_random(0, FIRST_WAIT),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            retrying(self._ask)
        except CacheDown:
            return  # closed while it was down

    def _ask(self) -> None:
        if self._stop.is_set():
            return
        try:
            self._probe()
        except CacheDown:
            raise
        except Exception as error:
            # Without a thread that asks, the breaker would stay open for good.
            logger.exception("%s: a probe failed; asking again", self._subject)
            raise CacheDown(f"{self._subject}: a probe failed") from error
        with self._lock:
            since, self._since = self._since, None
        seconds = 0.0 if since is None else self._clock() - since
        logger.info("%s answers again after %.1f s", self._subject, seconds)
