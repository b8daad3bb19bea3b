"""Files of an app: on disk, or in a bucket that speaks the protocol of S3."""

from jac_converge.app_runtime.files.blobs import Blobs, FilesDown, Info, NoSuchFile, Reading
from jac_converge.app_runtime.files.keys import BadKey
from jac_converge.app_runtime.files.metadata import BadMetadata

__all__ = ["BadKey", "BadMetadata", "Blobs", "FilesDown", "Info", "NoSuchFile", "Reading"]
