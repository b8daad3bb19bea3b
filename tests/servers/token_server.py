"""The server that a registry sends its clients to for a token, as Docker Hub and others have one.

Source: distribution/distribution, docs/content/spec/auth/{token,oauth,jwt}.md.
"""

import base64
import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers.http_thread import HOST, HttpThread

__all__ = ["TokenServer"]

ISSUER, SERVICE, KEY = "test tokens", "test registry", "one"


class TokenServer(HttpThread):
    """Gives tokens to its users, and to nobody else, as a context manager."""

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        *,
        identity_tokens: Mapping[str, str] | None = None,
    ) -> None:
        """Make its key, and take a port.

        Args:
            folder: of the file with the public key.
            users: name -> password.
            identity_tokens: what may be given instead of both -> the name.
        """
        super().__init__(self._handler(), name="token-server")
        self._users = users
        self._identity_tokens = identity_tokens or {}
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.scopes: list[str] = []
        """What was asked for, one entry for each token that was given."""
        self._keys = folder / "jwks.json"
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        self._keys.write_text(json.dumps({"keys": [{**public, "kid": KEY, "alg": "ES256"}]}))

    @property
    def configuration(self) -> dict[str, Any]:
        """The table `auth` of a registry that sends its clients here."""
        realm = f"http://{HOST}:{self.port}/token"
        token = {"realm": realm, "service": SERVICE, "issuer": ISSUER, "jwks": str(self._keys)}
        return {"token": token}

    def _token(self, user: str, scopes: list[str]) -> str:
        self.scopes.append(" ".join(scopes))
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in scopes)
        ]
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": SERVICE,
            "sub": user,
            "access": access,
            "iat": now,
            "nbf": now - 10,
            "exp": now + 300,
            "jti": str(now),
        }
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": KEY})

    def _user(self, authorization: str) -> str | None:
        scheme, _, told = authorization.partition(" ")
        name, _, password = base64.b64decode(told).decode().partition(":")
        return name if scheme == "Basic" and self._users.get(name) == password else None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                user = server._user(self.headers.get("Authorization", ""))
                self._answer(user, query.get("scope", []), "token")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                form = parse_qs(body.decode())
                user = server._identity_tokens.get(form["refresh_token"][0])
                self._answer(user, form["scope"][0].split(" "), "access_token")

            def _answer(self, user: str | None, scopes: list[str], name: str) -> None:
                told = {name: server._token(user, scopes)} if user else {"details": "who are you?"}
                body = json.dumps(told).encode()
                self.send_response(200 if user else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name above
                """Say nothing."""

        return Handler
