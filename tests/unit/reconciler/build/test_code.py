"""The app's files in ConfigMaps."""

import base64
import random
from dataclasses import replace

from jac_converge.reconciler.build import build
from jac_converge.reconciler.build.code import PART, code_of
from jac_converge.reconciler.objects import Object, ObjectKey, keyed
from tests.unit.reconciler.build.apps import CREDENTIALS, app_with
from tests.unit.reconciler.build.restricted import violations

CODE = random.Random(1).randbytes(2 * PART + 10)  # noqa: S311 - any bytes


def built(code: bytes) -> tuple[dict[str, Object], Object]:
    """The ConfigMaps with code, and the pod template."""
    objects = keyed(build(replace(app_with(), code=code), CREDENTIALS))
    maps = {key.name: obj for key, obj in objects.items() if "-code-" in key.name}
    return maps, objects[ObjectKey("Deployment", "shop")]["spec"]["template"]


def test_code_is_split_into_immutable_parts_that_fit() -> None:
    """Together they are the whole, in the order of their keys."""
    maps, template = built(CODE)
    assert 3 == len(maps)
    assert {True} == {obj["immutable"] for obj in maps.values()}
    parts = {key: part for obj in maps.values() for key, part in obj["binaryData"].items()}
    whole = b"".join(base64.b64decode(parts[key]) for key in sorted(parts))
    assert CODE == whole
    assert set(maps) == code_of(template)


def test_other_code_has_other_names() -> None:
    """So other pods, and those of before find theirs."""
    maps, template = built(CODE)
    others, other = built(CODE + b"!")
    assert set() == set(maps) & set(others)
    assert template != other


def test_pods_that_unpack_are_as_restricted_as_others() -> None:
    """The init container too; what it writes to is a volume of the pod's own."""
    _, template = built(CODE)
    assert [] == violations(template["spec"])
    (unpack,) = template["spec"]["initContainers"]
    (app,) = template["spec"]["containers"]
    assert unpack["image"] == app["image"]
    assert app["command"][-2:] == ["serve", "/app/shop.jac"]


def test_image_with_the_files_needs_none_of_it() -> None:
    """As it was before."""
    maps, template = built(b"")
    assert {} == maps
    assert "initContainers" not in template["spec"]
