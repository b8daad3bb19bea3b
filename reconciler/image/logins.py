"""Logins to registries, from where docker, podman and buildah keep them.

Nothing is written, and no password leaves this module but in the header that it is for. It changes
when one of those tools keeps logins in another place.

Source: docker/cli `config.json`; containers-auth.json(5); docker-credential-helpers protocol.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jac_converge.reconciler.errors import Refused
from jac_converge.reconciler.image.reference import DOCKER_HUB

__all__ = ["Login", "find_login", "login_files", "told_of"]

_HUB = "https://index.docker.io/v1/"
_TOKEN_USER = "<token>"  # noqa: S105 - how a helper says that the secret is an identity token
_HELPER_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user of one registry."""

    user: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
    """Exchanged for access tokens, instead of the password."""
    origin: str = ""
    """Which file it came from, for messages."""

    @property
    def basic(self) -> str:
        """The header of HTTP's basic authentication."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def find_login(registry: str, repository: str, environ: Mapping[str, str]) -> Login | None:
    """Find the login for a repository; the most specific entry of the first file that has one.

    Raises:
        Refused: a credential helper that a file names is not there, or fails.
    """
    names = list(_names(registry, repository))
    for file in login_files(environ):
        config, _ = _read(file)
        for name in names:
            if login := _in_file(config, name, file):
                return login
    return None


def login_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Every file that may have a login, whether it is there or not; the first one counts most."""
    home = Path.home()
    if given := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(given)
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers", "auth.json")
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def told_of(file: Path) -> str:
    """Name a file that has no login for us; with why, where it cannot be used at all."""
    _, problem = _read(file)
    return f"{file} ({problem})" if problem else str(file)


def _read(file: Path) -> tuple[Mapping[str, Any], str]:
    """What a file says, nothing if it is not there; and what is wrong with it."""
    try:
        config = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}, ""
    except OSError as exc:
        return {}, f"it cannot be read: {exc.strerror}"
    except ValueError as exc:
        return {}, f"it is not JSON: {exc}"
    if not isinstance(config, dict):
        return {}, "it is no JSON object"
    for key in ("auths", "credHelpers"):
        if not isinstance(config.get(key) or {}, dict):
            return {}, f'its "{key}" is no JSON object'
    return config, ""


def _names(registry: str, repository: str) -> Iterator[str]:
    """What an entry may be called: with namespaces (podman), plain, and as docker spells it."""
    parts = repository.split("/")
    for length in range(len(parts), 0, -1):
        yield "/".join((registry, *parts[:length]))
    if registry == DOCKER_HUB:
        yield from (_HUB, "index.docker.io", "registry-1.docker.io")
    yield from (registry, f"https://{registry}", f"http://{registry}")
    yield from (f"https://{registry}/v1/", f"https://{registry}/v2/")


def _in_file(config: Mapping[str, Any], name: str, file: Path) -> Login | None:
    helper = (config.get("credHelpers") or {}).get(name)
    entry = (config.get("auths") or {}).get(name)
    if helper is None and entry is not None:
        helper = config.get("credsStore")
    if helper is None and name == _HUB:
        # Docker Desktop keeps Docker Hub's login in its store alone.
        helper = config.get("credsStore")
    if helper and (login := _from_helper(str(helper), name, file)):
        return login
    return _from_entry(entry, file) if isinstance(entry, dict) else None


def _from_entry(entry: Mapping[str, Any], file: Path) -> Login | None:
    user, password, token, auth = (
        str(entry.get(key) or "") for key in ("username", "password", "identitytoken", "auth")
    )
    if auth:
        try:
            user, _, password = base64.b64decode(auth).decode().partition(":")
        except ValueError:
            return None
    if not (user and (password or token)):
        return None
    return Login(user=user, password=password, identity_token=token, origin=str(file))


def _from_helper(helper: str, name: str, file: Path) -> Login | None:
    command = f"docker-credential-{helper}"
    subject = f"login to {name}"
    program = shutil.which(command)
    if program is None:
        cause = f"{command}, which {file} names, is not installed"
        raise Refused(subject, cause, "install it, or run `docker login` without it", expired=True)
    try:
        done = subprocess.run(  # noqa: S603 - what the user's own configuration names
            [program, "get"],
            input=name,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            env=os.environ,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise Refused(subject, f"{command}: {exc}", "run `docker login`", expired=True) from exc
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        if "credentials not found" in said:
            return None
        cause = f"{command} ended with {done.returncode}: {said[:200]}"
        raise Refused(subject, cause, "run `docker login`", expired=True)
    try:
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as exc:
        # Not what it said: that may be a password.
        cause = f"{command} did not answer with a login"
        raise Refused(subject, cause, "run `docker login`", expired=True) from exc
    if user == _TOKEN_USER:
        return Login(user=user, password="", identity_token=secret, origin=command)
    return Login(user=user, password=secret, origin=command)
