"""A stand-in for GitHub's OAuth and API, which no server of a registry offers.

It logs in at once whoever is asked for, and is strict about what a client sends.
"""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.servers.http_thread import HOST, HttpThread

__all__ = ["GithubStandIn"]


class GithubStandIn(HttpThread):
    """A GitHub Enterprise with one user, as a context manager."""

    def __init__(self, client: str, secret: str) -> None:
        """Describe it.

        Args:
            client: client_id.
            secret: client_secret.
        """
        super().__init__(self._handler(), name="github")
        self.url = f"http://{HOST}:{self.port}"
        self.user: dict[str, Any] = {"id": 583231, "login": "octocat"}
        self.emails: list[dict[str, Any]] = []
        self.deny = False
        self._client = {"client_id": client, "client_secret": secret}
        self._challenges: dict[str, str] = {}

    def _authorize(self, asked: dict[str, str]) -> str:
        """Return where to send the browser."""
        assert "S256" == asked["code_challenge_method"]
        assert "user:email" in asked["scope"].split()
        back = {"state": asked["state"]}
        if self.deny:
            back["error"] = "access_denied"
        else:
            back["code"] = f"code-{len(self._challenges)}"
            self._challenges[back["code"]] = asked["code_challenge"]
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def _token(self, form: dict[str, str]) -> dict[str, str]:
        if self._client.items() - form.items():
            return {"error": "incorrect_client_credentials"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if self._challenges.pop(form["code"], None) != proof:
            return {"error": "bad_verification_code"}
        return {"access_token": "gho_token", "token_type": "bearer"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        github = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/login/oauth/authorize":
                    self.send_response_only(302)
                    self.send_header("Location", github._authorize(dict(parse_qsl(parts.query))))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.headers["Authorization"] != "Bearer gho_token":
                    self._json({"message": "Bad credentials"}, 401)
                else:
                    found = {"/api/v3/user": github.user, "/api/v3/user/emails": github.emails}
                    self._json(found[parts.path])

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                assert "application/json" == self.headers["Accept"]
                self._json(github._token(dict(parse_qsl(form))))

            def _json(self, body: Any, status: int = 200) -> None:
                content = json.dumps(body).encode()
                self.send_response_only(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
