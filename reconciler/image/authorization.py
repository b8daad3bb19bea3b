"""Who we are to a registry: HTTP basic, or a token that a server of its own gives.

It changes when a registry asks for a login in another way.

Source: distribution/distribution, docs/content/spec/auth/{token,oauth}.md.
"""

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from jac_converge.reconciler.errors import Invalid
from jac_converge.reconciler.image.logins import Login, told_of
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.refusals import answered, broken, unreadable_answers

__all__ = ["Authorization"]

_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_CLIENT = "jac-converge"


class Authorization:
    """The login to one repository; a token serves until the registry takes it no more."""

    def __init__(
        self,
        pool: PoolManager,
        reference: Reference,
        login: Login | None,
        looked_in: tuple[Path, ...],
    ) -> None:
        self._pool = pool
        self._repository = reference.repository
        self._login = login
        self._looked_in = looked_in
        self._headers: dict[bool, str] = {}
        """Whether it may write -> header."""
        self._sources: set[str] = set()

    @property
    def told(self) -> str:
        """Who we are, in words."""
        if self._login is None:
            places = " or ".join(map(told_of, self._looked_in))
            return f"without a login: none in {places}" if places else "without a login"
        return f"as {self._login.user} of {self._login.origin}"

    def header(self, *, writes: bool) -> dict[str, str]:
        """What to send along, as far as it is known."""
        known = self._headers.get(writes)
        return {"Authorization": known} if known else {}

    def also_read(self, repository: str) -> None:
        """Ask for the right to read another repository too, from the next challenge on."""
        if repository not in self._sources:
            self._sources.add(repository)
            self._headers.pop(True, None)

    def answer(self, challenge: str, subject: str, *, writes: bool) -> bool:
        """Find what a refused request was missing.

        Args:
            challenge: `WWW-Authenticate`.
            subject: of that request.
            writes: whether it needs the right to push.

        Returns:
            False: nothing better can be sent.

        Raises:
            ClusterError: the server of the tokens gives none.
        """
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._login:
            header = self._login.basic
        elif scheme.lower() == "bearer":
            header = f"Bearer {self._token(dict(_CHALLENGE.findall(rest)), subject, writes=writes)}"
        else:
            return False
        if scheme.lower() == "basic" and self._headers.get(writes) == header:
            return False
        self._headers[writes] = header
        return True

    def _token(self, challenge: dict[str, str], subject: str, *, writes: bool) -> str:
        actions = "pull,push" if writes else "pull"
        scopes = [f"repository:{self._repository}:{actions}"]
        scopes += [f"repository:{source}:pull" for source in sorted(self._sources) if writes]
        fields = [("service", challenge["service"])] if "service" in challenge else []
        realm = challenge.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise Invalid(subject, "the registry does not say where its tokens come from")
        try:
            answer = self._ask(realm, fields, scopes)
        except (HTTPError, OSError) as exc:
            raise broken(f"{subject}: token of {realm}", exc) from exc
        if answer.status != HTTPStatus.OK:
            named = f"{subject}: token of {realm}"
            raise answered(named, answer.status, answer.data, answer.headers, self.told)
        with unreadable_answers(f"{subject}: token of {realm}", "there is no token in its answer"):
            given = json.loads(answer.data)
            return str(given.get("token") or given["access_token"])

    def _ask(self, realm: str, fields: list[tuple[str, str]], scopes: list[str]) -> Any:
        login = self._login
        if login and login.identity_token:
            form = [
                *fields,
                ("grant_type", "refresh_token"),
                ("refresh_token", login.identity_token),
                ("client_id", _CLIENT),
                ("scope", " ".join(scopes)),
            ]
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._pool.request("POST", realm, body=urlencode(form), headers=headers)
        query = urlencode([*fields, *(("scope", scope) for scope in scopes)])
        url = f"{realm}{'&' if '?' in realm else '?'}{query}"
        return self._pool.request(
            "GET", url, headers={"Authorization": login.basic} if login else {}
        )
