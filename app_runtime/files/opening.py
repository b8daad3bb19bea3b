"""The storage that the settings ask for. It changes when there is another kind."""

from jac_converge.app_runtime.files.blobs import Blobs
from jac_converge.app_runtime.files.disk import DiskFiles
from jac_converge.config.load import App

__all__ = ["open_files"]


def open_files(app: App) -> Blobs:
    """Open the storage of an app; whether it answers is seen when it is asked."""
    settings = app.settings.storage
    if settings.kind == "disk":
        return DiskFiles(app.root / settings.path)
    from jac_converge.app_runtime.files.s3 import S3Files  # noqa: PLC0415 - 20 ms

    return S3Files(settings)
