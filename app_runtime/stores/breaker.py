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
        down: type[Exception] = CacheDown,
        meanwhile: str = "reading and writing without it until it answers",
        longest_wait: float = LONGEST_WAIT,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """Begin closed.

        Args:
            probe: asks for a sign of life, in a thread of ours; raises `down`.
            subject: for the log.
            down: the class of what is raised while it is open.
            meanwhile: what is done without the subject, for the log.
            longest_wait: s between two probes.
            clock: s, from anywhere.
            sleep: called with s between probes; the end of the breaker wakes the default.
        """
        self._probe = probe
        self._subject = subject
        self._down = down
        self._meanwhile = meanwhile
        self._longest_wait = longest_wait
        self._clock = clock
        self._stop = threading.Event()
        self._sleep = sleep or tenacity.sleep_using_event(self._stop)
        self._lock = threading.Lock()
        self._since: float | None = None

    def check(self) -> None:
        """Raise `down` where there is no use in asking."""
        if self._since is not None:
            raise self._down(f"{self._subject} does not answer; the next probe will tell")
        if self._stop.is_set():
            raise self._down(f"{self._subject} is closed")

    def trip(self, why: Exception) -> None:
        """Note a failure; the first of an outage is said, and starts the probes."""
        with self._lock:
            if self._since is not None or self._stop.is_set():
                return
            self._since = self._clock()
        logger.warning("%s; %s", why, self._meanwhile)
        threading.Thread(target=self._watch, name="probe", daemon=True).start()

    def close(self) -> None:
        """End: no more probes."""
        self._stop.set()

    def _watch(self) -> None:
        # A pause first: the failure has just happened.
        self._sleep(FIRST_WAIT)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(self._down),
            wait=tenacity.wait_exponential(multiplier=FIRST_WAIT, max=self._longest_wait)
            + tenacity.wait_random(0, FIRST_WAIT),
            stop=tenacity.stop_when_event_set(self._stop),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            retrying(self._ask)
        except self._down:
            return  # closed while it was down

    def _ask(self) -> None:
        if self._stop.is_set():
            return
        try:
            self._probe()
        except self._down:
            raise
        except Exception as error:
            # Without a thread that asks, the breaker would stay open for good.
            logger.exception("%s: a probe failed; asking again", self._subject)
            raise self._down(f"{self._subject}: a probe failed") from error
        with self._lock:
            since, self._since = self._since, None
        seconds = 0.0 if since is None else self._clock() - since
        logger.info("%s answers again after %.1f s", self._subject, seconds)
