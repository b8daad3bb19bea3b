"""Answers of an OpenID provider that no honest one gives, for its proxy to give."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.openid_provider import Exchange, Lie

__all__ = ["Forger", "brought_back", "shared", "tampered", "unsigned"]

KEY = "forged"


class Forger:
    """A key that the provider seems to have published, and tokens that are signed with it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.public = public | {"kid": KEY, "use": "sig", "alg": "RS256"}

    def claims(self, **changed: Any) -> Lie:
        """Say something else in each ID token; None: leave it out."""

        def forged(token: str) -> str:
            payload = jwt.decode(token, options={"verify_signature": False}) | changed
            kept = {name: value for name, value in payload.items() if value is not None}
            return jwt.encode(kept, self._key, algorithm="RS256", headers={"kid": KEY})

        return self.token(forged)

    def token(self, forged: Callable[[str], str]) -> Lie:
        """Make another ID token of each, and publish the key."""

        def lie(exchange: Exchange) -> Exchange:
            if exchange.path == "/jwks":
                return exchange.answering({"keys": [*exchange.json["keys"], self.public]})
            if exchange.path == "/token" and exchange.status == 200:
                answer = exchange.json
                return exchange.answering(answer | {"id_token": forged(answer["id_token"])})
            return exchange

        return lie


def tampered(token: str) -> str:
    """Change the subject, and leave the signature as it is."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"sub": "admin"}
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{signature}"


def unsigned(token: str) -> str:
    """Sign with nothing."""
    payload = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(payload, "", algorithm="none")


def shared(secret: str) -> Callable[[str], str]:
    """Sign with a secret that the client has, too."""

    def forged(token: str) -> str:
        payload = jwt.decode(token, options={"verify_signature": False})
        return jwt.encode(payload, secret, algorithm="HS256", headers={"kid": KEY})

    return forged


def brought_back(change: Callable[[dict[str, str]], dict[str, str]]) -> Lie:
    """Send browsers back with other parameters."""

    def lie(exchange: Exchange) -> Exchange:
        headers = dict(exchange.answer_headers)
        target = headers.get("location") or headers.get("Location") or ""
        if "/callback" not in target:
            return exchange
        parts = urlsplit(target)
        query = urlencode(change(dict(parse_qsl(parts.query))))
        kept = [(k, v) for k, v in exchange.answer_headers if k.lower() != "location"]
        location = parts._replace(query=query).geturl()
        return replace(exchange, answer_headers=(*kept, ("Location", location)))

    return lie
