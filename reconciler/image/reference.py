"""What the name of an image says: which registry, which repository, which version. Pure.

It changes when references are spelled another way.

Source: github.com/distribution/reference, normalize.go.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

__all__ = ["DOCKER_HUB", "Reference"]

DOCKER_HUB: Final = "docker.io"

_SERVERS = {DOCKER_HUB: "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The name of an image, in its parts."""

    registry: str
    """Host, with its port if one is given: `docker.io`, `localhost:5000`."""
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference that the grammar of `config.spelling.Image` lets through.

        >>> Reference.parse("python:3.12")
        Reference(registry='docker.io', repository='library/python', tag='3.12', digest='')
        >>> str(Reference.parse("registry.example:5000/team/shop@sha256:ab"))
        'registry.example:5000/team/shop@sha256:ab'
        """
        name, _, digest = text.partition("@")
        first, slash, rest = name.partition("/")
        if slash and (first == "localhost" or any(mark in first for mark in ".:")):
            registry, name = first, rest
        else:
            registry = DOCKER_HUB
            name = name if slash else f"library/{name}"
        repository, _, tag = name.partition(":")
        return cls(registry=registry, repository=repository, tag=tag, digest=digest)

    @property
    def server(self) -> str:
        """Host and port of the server that answers for the registry."""
        return _SERVERS.get(self.registry, self.registry)

    @property
    def version(self) -> str:
        """What a manifest is asked for by; the digest, if there is one."""
        return self.digest or self.tag or "latest"

    def at(self, *, tag: str = "", digest: str = "") -> "Reference":
        """Name another version in the same repository."""
        return replace(self, tag=tag, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"
