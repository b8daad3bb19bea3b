"""The app's files in ConfigMaps, for where its image does not have them. Pure.

Each part is immutable, and named by what the whole holds: other code has other names, and the pods
of a release find theirs as long as the release can come back. An init container unpacks them before
the app starts, over an image that runs `jac serve`. It changes when the files are to get there
another way.
"""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from jac_converge.config.load import App
from jac_converge.reconciler.build.manifest import manifest
from jac_converge.reconciler.build.pods import scratch
from jac_converge.reconciler.objects import Object

__all__ = ["CODE", "MOST", "code_objects", "code_of", "code_volumes", "serving", "unpacking"]

CODE: Final = "code"
"""Name of the volume with the unpacked files."""

_PACKED: Final = "packed"
_PACKED_FOLDER: Final = "/packed"

PART: Final = 768 * 1024
"""bytes in a ConfigMap, which may have 1 MiB."""

MOST: Final = 8 * PART
"""bytes of one app; more of them belong into a registry, not into the cluster's database."""

_UNPACK: Final = """
import io, pathlib, tarfile
packed = b"".join(part.read_bytes() for part in sorted(pathlib.Path("/packed").glob("part-*")))
with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
    for member in archive:
        folder, _, member.name = member.name.partition("/")
        if member.isfile() and folder == "app":
            archive.extract(member, "/app", filter="data")
""".strip()


def code_objects(app: App) -> tuple[Object, ...]:
    """The ConfigMaps; none where the image has the files."""
    parts = [app.code[start : start + PART] for start in range(0, len(app.code), PART)]
    return tuple(
        manifest(
            "ConfigMap",
            app,
            "app",
            name=name,
            immutable=True,
            binaryData={_part(number): base64.b64encode(part).decode()},
        )
        for number, (name, part) in enumerate(zip(_names(app), parts, strict=True))
    )


def code_volumes(app: App) -> list[dict[str, Any]]:
    """The parts, as one folder, and an empty one for what is in them."""
    if not app.code:
        return []
    sources = [{"configMap": {"name": name}} for name in _names(app)]
    packed = {"name": _PACKED, "projected": {"sources": sources}}
    return [packed, scratch(CODE, "256Mi")]


def unpacking(app: App, image: str, sized: Mapping[str, Any]) -> dict[str, Any]:
    """What a pod's spec has beside the app's container; nothing where the image has the files."""
    if not app.code:
        return {}
    container = {
        "name": "unpack",
        "image": image,
        "command": ["python3", "-P", "-c", _UNPACK],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": CODE, "mountPath": "/app"},
            {"name": _PACKED, "mountPath": _PACKED_FOLDER, "readOnly": True},
        ],
        **({"resources": dict(sized)} if sized else {}),
    }
    return {"initContainers": [container]}


def serving(app: App) -> dict[str, Any]:
    """How the app's container is started: the entry point of the image is another app's."""
    if not app.code:
        return {}
    main = app.file.relative_to(app.root).as_posix()
    # -P: else a queue.py of the app's would take the place of Python's own.
    command = ["python3", "-P", "-m", "jac_converge", "serve", f"/app/{main}"]
    return {"command": command, "workingDir": "/app"}


def code_of(template: Mapping[str, Any]) -> frozenset[str]:
    """Names of the ConfigMaps that pods of a template unpack."""
    return frozenset(
        source["configMap"]["name"]
        for volume in template["spec"].get("volumes") or ()
        if volume["name"] == _PACKED
        for source in volume["projected"]["sources"]
    )


def _names(app: App) -> tuple[str, ...]:
    digest = hashlib.sha256(app.code).hexdigest()[:12]
    count = -(-len(app.code) // PART)
    return tuple(f"{app.name}-code-{digest}-{number}" for number in range(count))


def _part(number: int) -> str:
    return f"part-{number:02}"
