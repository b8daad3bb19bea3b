"""What `jac scale --watch` costs while nothing happens: `make bench-idle`.

Requests by the API server's own audit log, processor time and memory by /proc (Linux).
"""

import os
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.deployed import deployed
from jac_converge.reconciler.ownership import FIELD_MANAGER

SECONDS = 60.0
SETTLED = 10.0
"""Seconds before the count starts, for the writes of the start to settle."""

CPU_LIMIT = 1.0
"""Percent of one processor."""


def main() -> int:
    """Run it; the exit code is 1 when more was asked or used than is promised."""
    with deployed(audit=True) as it:
        time.sleep(SETTLED)
        pid = it.watching.pid
        before, used = len(it.server.requests(FIELD_MANAGER)), cpu_seconds(pid)
        started = time.monotonic()
        time.sleep(SECONDS)
        seconds = time.monotonic() - started
        cpu = (cpu_seconds(pid) - used) / seconds * 100
        rss = rss_bytes(pid) / 2**20
        sent = it.server.requests(FIELD_MANAGER)[before:]
    asked = Counter((request.verb, request.resource) for request in sent)
    print(f"jac scale --watch, idle for {seconds:.0f} s")
    for (verb, resource), count in asked.most_common():
        print(f"  requests: {count:3}  {verb} {resource}")
    print(f"  cpu:      {cpu:.2f} % of one processor")
    print(f"  memory:   {rss:.0f} MiB resident")
    return 0 if asked.keys() <= {("patch", "leases")} and cpu < CPU_LIMIT else 1


def cpu_seconds(pid: int) -> float:
    """Processor time that a process used so far.

    By the scheduler's own clock. That of /proc/PID/stat asks who runs when it ticks, and so gives a
    whole tick to what wakes up by timers, as the ticks do, and works for a part of one. What
    threads used that have ended is not in it.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def rss_bytes(pid: int) -> int:
    """Memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
