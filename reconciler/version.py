"""What makes an app's pods what they are, taken out of its desired objects and put back. Pure.

Of secrets only a keyed hash of each is taken: enough to tell whether one changed, too little to
guess it. It changes when pods read something more than a template, a ConfigMap and a Secret.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jac_converge.reconciler.objects import Object, ObjectKey, key_of

__all__ = ["Version", "config_sources", "restored", "version_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Everything that makes an app's pods what they are."""

    template: Object
    """The pod template, as we describe it."""
    config: Mapping[str, str]
    """What the pods read from the ConfigMap."""
    secrets: Mapping[str, str]
    """Name of each secret variable -> keyed hash of its value."""

    @property
    def mark(self) -> str:
        """A hash; equal for equal versions."""
        text = json.dumps([self.template, dict(self.config)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def image(self) -> str:
        """Of the app's container."""
        return str(self.template["spec"]["containers"][0]["image"])


def version_of(desired: Iterable[Object], app_name: str, *, key: str) -> Version:
    """Take an app's version out of its desired objects.

    Args:
        desired: as `build` describes it.
        app_name: name of the app.
        key: secret of the app, for the hashes of its secrets.
    """
    objects = {key_of(obj): obj for obj in desired}
    template = objects[ObjectKey("Deployment", app_name)]["spec"]["template"]
    config, secrets = (objects[source].get("data") or {} for source in config_sources(template))
    return Version(
        template=template, config=config, secrets={n: _hashed(key, n, secrets[n]) for n in secrets}
    )


def config_sources(template: Object) -> tuple[ObjectKey, ObjectKey]:
    """The ConfigMap and the Secret that the app's container takes its environment from."""
    config, secrets = template["spec"]["containers"][0]["envFrom"]
    return (
        ObjectKey("ConfigMap", config["configMapRef"]["name"]),
        ObjectKey("Secret", secrets["secretRef"]["name"]),
    )


def restored(desired: tuple[Object, ...], app_name: str, version: Version) -> tuple[Object, ...]:
    """Put a version in the place of what jac.toml says: the app's template and its environment.

    Everything else stays as desired; the data stores above all.
    """
    deployment, (config, _) = ObjectKey("Deployment", app_name), config_sources(version.template)
    return tuple(
        _with_template(obj, version)
        if key_of(obj) == deployment
        else _with_data(obj, version)
        if key_of(obj) == config
        else obj
        for obj in desired
    )


def _with_template(obj: Object, version: Version) -> Object:
    return {**obj, "spec": {**obj["spec"], "template": version.template}}


def _with_data(obj: Object, version: Version) -> Object:
    bare = {key: value for key, value in obj.items() if key != "data"}
    return {**bare, "data": dict(version.config)} if version.config else bare


def _hashed(key: str, name: str, value: str) -> str:
    return hmac.new(key.encode(), f"{name}={value}".encode(), hashlib.sha256).hexdigest()
