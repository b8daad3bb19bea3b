"""What our plugin costs every `jac` command: `jac --help` with and without it, paired.

Without means `JAC_DISABLED_PLUGINS=jac-converge:*`: the same environment, our entry point skipped.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

__all__: list[str] = []

ROUNDS = 40
LIMIT = 1.05


def main() -> int:
    """Measure and print; exit code 1 if the limit is missed."""
    jac = str(Path(sys.executable).with_name("jac"))
    ours = {key: value for key, value in os.environ.items() if key != "JAC_DISABLED_PLUGINS"}
    without = ours | {"JAC_DISABLED_PLUGINS": "jac-converge:*"}
    for env in (ours, without):
        _seconds(jac, env)
    pairs = []
    for turn in range(ROUNDS):
        # Each goes first in half of the rounds.
        if turn % 2:
            bare, full = _seconds(jac, without), _seconds(jac, ours)
        else:
            full, bare = _seconds(jac, ours), _seconds(jac, without)
        pairs.append((full, bare))
    ratio = statistics.median(full / bare for full, bare in pairs)
    print(f"jac --help without the plugin {statistics.median(b for _, b in pairs) * 1000:7.1f} ms")
    print(f"jac --help with it            {statistics.median(f for f, _ in pairs) * 1000:7.1f} ms")
    print(f"paired ratio, median of {ROUNDS}    {ratio:7.3f}    (at most {LIMIT})")
    return int(ratio > LIMIT)


def _seconds(jac: str, env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([jac, "--help"], env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
