"""Images out of files of this machine, written as archives that containerd reads."""

import hashlib
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jac_converge.reconciler.image.archive import write_archive
from jac_converge.reconciler.image.manifest import image_from

__all__ = ["layer_of", "write_image"]

MEDIA = "application/vnd.oci.image"


def layer_of(folder: Path, out: Path) -> Path:
    """Write a folder as a layer, links and all; it belongs to root, and has no times."""
    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        found = [
            Path(base, name)
            for base, folders, files in os.walk(folder)
            for name in (*folders, *files)
        ]
        for path in sorted(found):
            info = tar.gettarinfo(path, arcname=path.relative_to(folder).as_posix())
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            if info.isreg():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)
    return out


def write_image(
    out: Path,
    name: str,
    layers: Sequence[Path],
    settings: Mapping[str, Any],
    *,
    architecture: str = "arm64" if os.uname().machine == "aarch64" else "amd64",
) -> None:
    """Write an image.

    Args:
        out: the archive.
        name: `registry/repository:tag`.
        layers: files of `layer_of`, the lowest first.
        settings: how it is run: Entrypoint, Env, User.
        architecture: of what is in it; empty: it does not say.
    """
    digests = {_digest_of_file(layer): layer for layer in layers}
    config = json.dumps(
        {
            **({"architecture": architecture} if architecture else {}),
            "os": "linux",
            "config": settings,
            # They are not compressed, so both digests are the same.
            "rootfs": {"type": "layers", "diff_ids": list(digests)},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{MEDIA}.manifest.v1+json",
        "config": {
            "mediaType": f"{MEDIA}.config.v1+json",
            "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": f"{MEDIA}.layer.v1.tar",
                "digest": digest,
                "size": layer.stat().st_size,
            }
            for digest, layer in digests.items()
        ],
    }
    image = image_from(json.dumps(manifest).encode(), config, f"{MEDIA}.manifest.v1+json")
    write_archive(image, name, lambda layer: digests[layer.digest], out)


def _digest_of_file(file: Path) -> str:
    with file.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
