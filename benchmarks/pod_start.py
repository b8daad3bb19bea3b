"""How long the container of a built image takes from its start until it is ready.

In a root of its own, read-only, by its own user, as a pod runs it; the image is built first, and
what this machine built before is taken as it is. Needs root, and Linux.
"""

import statistics
import tempfile
from pathlib import Path

from tests.e2e.test_image_start import made_in
from tests.servers.image_root import ImageRoot, missing

__all__: list[str] = []

ROUNDS = 7
LIMIT = 3.0


def main() -> int:
    """Measure and print; exit code 1 if the limit is missed."""
    if reason := missing():
        print(f"cannot run here: {reason}")
        return 1
    with tempfile.TemporaryDirectory(prefix="pod-start-") as folder:
        made = made_in(Path(folder, "shop"))
        print(made.notes[-1])
        seconds, busy = [], []
        with ImageRoot(made.image, made.layer) as pod:
            for _ in range(ROUNDS):
                pod.terminate()
                seconds.append(pod.start().seconds)
                busy.append(pod.busy_seconds)
            compiled = pod.compiled
    median = statistics.median(seconds)
    print(f"start to ready   {median:5.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s")
    print(f"on a processor   {statistics.median(busy):5.2f} s")
    print(f"sources compiled {len(compiled):2}     (limits: {LIMIT} s, 0)")
    return int(median > LIMIT or bool(compiled))


if __name__ == "__main__":
    raise SystemExit(main())
