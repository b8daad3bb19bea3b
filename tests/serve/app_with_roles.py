"""An app of which not everything is for everybody, and its admin."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers.jac_server import COMMAND, JacServer

__all__ = ["APPS", "PASSWORD", "ROLES", "AppWithRoles", "make_admin"]

APPS = Path(__file__).parent / "apps"
ROLES = APPS / "roles" / "roles.jac"
PASSWORD = "correct horse"


@dataclass(frozen=True, slots=True)
class AppWithRoles:
    """A server with an admin, `boss`."""

    server: JacServer
    admin: str
    """Token."""

    def give(
        self, name: str, role: str, token: str | None = None, password: str | None = PASSWORD
    ) -> tuple[int, str]:
        """Give a role; returns the status, and the role or the code of the refusal."""
        path, token = f"/admin/users/{name}", token or self.admin
        body = {"role": role, "current_password": password}
        answer = self.server.send("PUT", path, body, token=token)
        return answer.status, answer.body["data"]["role"] if answer.status == 200 else answer.code


def make_admin(server: JacServer, *, env: Mapping[str, str] | None = None) -> None:
    """Make the admin, before the server starts, with an environment instead of ours."""
    command = [COMMAND, "serve", str(server.file), "--create-admin", "boss"]
    given = f"{PASSWORD}\n"
    subprocess.run(command, input=given, text=True, check=True, capture_output=True, env=env)
