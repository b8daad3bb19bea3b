"""The desired state as plain text that kubectl takes: the way out, or into other tools. Pure.

A Secret is there as a whole or not at all. A placeholder would be applied as a password one day,
and over an app that runs it would lock the app out of its own database. It changes when something
has to be written down another way for kubectl to understand it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from jac_converge.config.load import App
from jac_converge.reconciler.build import PLACEHOLDERS, build
from jac_converge.reconciler.build.pods import CONFIG_ANNOTATION
from jac_converge.reconciler.objects import Object
from jac_converge.reconciler.ownership import INSTANCE_LABEL, MANAGED_BY_LABEL

__all__ = ["as_json", "as_yaml", "left_out", "without_secrets"]


def without_secrets(app: App) -> tuple[Object, ...]:
    """Every desired object that holds no secret, and nothing that was made from one.

    Raises:
        ConfigError: as `build` does.
    """
    return tuple(_unmarked(obj) for obj in build(app, PLACEHOLDERS) if obj["kind"] != "Secret")


def left_out(app: App) -> tuple[Object, ...]:
    """The Secrets that `without_secrets` leaves out; of use are their names and keys only.

    Raises:
        ConfigError: as `build` does.
    """
    return tuple(obj for obj in build(app, PLACEHOLDERS) if obj["kind"] == "Secret")


def as_json(objects: Iterable[Object]) -> str:
    """Write objects as one of kind List."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [*objects]}, indent=2) + "\n"


def as_yaml(app: App, objects: Iterable[Object], missing: Iterable[Object] = ()) -> str:
    """Write objects as YAML documents, in the order in which they are to be applied.

    Args:
        app: whose they are.
        objects: what to write.
        missing: the Secrets that are not among them: it says how to make them.
    """
    told = [line for secret in missing for line in _recipe(app, secret)]
    head = [f"The desired state of {app.name}, by jac scale {app.file.name} --export."]
    if told:
        head += [
            "Its Secrets are left out. Where jac scale deployed the app they are there already;",
            "elsewhere --with-secrets writes them too, or make them by hand, a jwt-secret of 32",
            "bytes and more, passwords of 16:",
            *told,
            "Without them a pod cannot tell that its configuration changed: jac scale restarts",
            "pods once when it takes over what was first made from this file, and kubectl rollout",
            "restart is yours to call after an edit.",
        ]
    else:
        head += [
            "It holds its secrets: keep it to yourself. What the cluster had of them is kept,",
            "and the rest was made for this file: apply this one, and no other before it.",
        ]
    text: str = yaml.dump_all(
        objects, Dumper=_Dumper, sort_keys=False, explicit_start=True, allow_unicode=True, width=100
    )
    return "".join(f"# {line}\n" for line in head) + text


def _unmarked(obj: Object) -> Object:
    """Without the digest that tells pods of another configuration: it is keyed by a secret."""
    template = obj.get("spec", {}).get("template", {})
    annotations = template.get("metadata", {}).get("annotations", {})
    if CONFIG_ANNOTATION not in annotations:
        return obj
    rest = {name: value for name, value in annotations.items() if name != CONFIG_ANNOTATION}
    metadata = {k: v for k, v in template["metadata"].items() if k != "annotations"}
    metadata |= {"annotations": rest} if rest else {}
    return {**obj, "spec": {**obj["spec"], "template": {**template, "metadata": metadata}}}


def _recipe(app: App, secret: Object) -> Iterator[str]:
    name, space = secret["metadata"]["name"], f"--namespace {secret['metadata']['namespace']}"
    for manifest in app.manifests:
        if manifest.content["kind"] == "Secret" and manifest.content["metadata"]["name"] == name:
            yield f"  Secret/{name} is the one of {manifest.file}:{manifest.line}"
            return
    keys: Mapping[str, str] = secret.get("data") or {}
    values = "".join(f" --from-literal={key}=..." for key in keys)
    labels = (f"{INSTANCE_LABEL}={app.name}", f"{MANAGED_BY_LABEL}=jac-converge")
    yield f"  kubectl create secret generic {name} {space}{values}"
    yield f"  kubectl label secret {name} {space} {' '.join(labels)}"


class _Dumper(yaml.SafeDumper):
    """YAML without anchors, whose text stays text for every reader."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values in full."""
        del data
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # Other readers take 1e3, 0o7 and y for more than text, which PyYAML would leave plain.
    plain = len(value) > 1 and (value[0].isalpha() or value[0] == "/")
    style = "|" if "\n" in value else None if plain else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
