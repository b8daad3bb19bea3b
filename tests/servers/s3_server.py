"""An S3 of one's own: MinIO, which checks every signature.

Buckets are made, and looked at, as folders of its disk: a test that did so through the client that
it tests would share its mistakes.
"""

import os
import socket
import tempfile
from pathlib import Path

from tests.servers import build
from tests.servers.process import Process, free_port

__all__ = ["S3Server"]

HOST = "127.0.0.1"
USER, PASSWORD = "minio-of-a-test", "not a secret at all"


class S3Server(Process):
    """MinIO with an empty folder, as a context manager; `start` again keeps the data."""

    def __init__(self) -> None:
        """Describe it; nothing runs before `with`.

        Raises:
            ServerMissing: it is not built.
        """
        program = build.minio()
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        directory = tempfile.TemporaryDirectory(prefix="minio-")
        self._data = Path(directory.name, "data")
        command = [str(program), "server", "--quiet", "--address", f"{HOST}:{self.port}"]
        command += ["--console-address", f"{HOST}:{free_port()}", str(self._data)]
        env = os.environ | {
            "MINIO_ROOT_USER": USER,
            "MINIO_ROOT_PASSWORD": PASSWORD,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        super().__init__(
            "minio",
            command,
            log=Path(directory.name, "minio.log"),
            ready=self._answers,
            env=env,
            folder=directory,
        )

    def _answers(self) -> bool:
        with socket.create_connection((HOST, self.port), timeout=1) as connection:
            head = f"GET /minio/health/ready HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            return b" 200 " in connection.recv(64) and self._data.is_dir()

    def new_bucket(self, name: str) -> dict[str, str]:
        """Make a bucket, and return the settings of `[converge.storage]` for it."""
        (self._data / name).mkdir()
        return {
            "kind": "s3",
            "bucket": name,
            "endpoint_url": self.url,
            "access_key_id": USER,
            "secret_access_key": PASSWORD,
        }

    def left_in(self, bucket: str) -> list[str]:
        """Return the objects of a bucket, and all parts of objects that are not whole."""
        whole = [one.parent for one in (self._data / bucket).rglob("xl.meta")]
        parts = (self._data / ".minio.sys" / "multipart").rglob("part.*")
        return [str(one.relative_to(self._data)) for one in (*whole, *parts)]
