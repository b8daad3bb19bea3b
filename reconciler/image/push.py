"""An image -> a registry: only what the registry does not have is sent.

It changes when less could be sent, or something else is worth telling meanwhile.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

from jac_converge.reconciler.image.manifest import Descriptor, Image, config_of
from jac_converge.reconciler.image.reference import Reference
from jac_converge.reconciler.image.registry import Registry

__all__ = ["push_image"]

_MEGABYTE = 1e6


def push_image(
    registry: Registry,
    image: Image,
    tag: str,
    *,
    layer: Callable[[Descriptor], Path],
    base: Reference | None,
    say: Callable[[str], None],
) -> None:
    """Make an image whole in a registry.

    The tag comes last, so who finds it finds everything; it also keeps the image from a registry
    that throws away what has no tag.

    Args:
        registry: its repository.
        image: what to send.
        tag: the name of this very content: what has it is not looked at any closer.
        layer: gives the file of a layer that has to be sent.
        base: where the layers below came from; on the same registry they are not sent again.
        say: tells the user what goes on.

    Raises:
        ClusterError: the registry refuses, or cannot be reached.
    """
    found = registry.find(tag)
    if found and found.digest == image.digest:
        return
    source = base.repository if base and base.registry == registry.reference.registry else ""
    named = registry.reference.at(tag=tag)
    sent = [
        descriptor.size
        for descriptor in dict.fromkeys(image.layers)
        if _send_layer(registry, descriptor, source, layer, say)
    ]
    config = config_of(image)
    if not registry.has(config.digest):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "config.json")
            path.write_bytes(image.config)
            registry.upload(config, path)
    registry.put(image, tag)
    total = len(set(image.layers))
    say(f"pushed {named}: {len(sent)} of {total} layers, {_size(sum(sent))}")


def _send_layer(
    registry: Registry,
    descriptor: Descriptor,
    source: str,
    layer: Callable[[Descriptor], Path],
    say: Callable[[str], None],
) -> bool:
    """See to it that a layer is there; returns whether it had to be sent."""
    if registry.has(descriptor.digest):
        return False
    if source and registry.mount(descriptor.digest, source):
        return False
    path = layer(descriptor)
    say(f"pushing a layer of {_size(descriptor.size)} to {registry.reference.registry}")
    registry.upload(descriptor, path)
    return True


def _size(size: int) -> str:
    return f"{size / _MEGABYTE:.1f} MB"
