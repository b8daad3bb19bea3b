"""Why a pod does not run, in one sentence. Pure. It changes when kubelets learn a new reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jac_converge.reconciler.objects import Object

__all__ = ["Trouble", "condition_of", "cut", "cut_front", "trouble_of"]

_LONGEST_MESSAGE = 256
"""Characters of somebody else's words."""

_BEGINNING = 96
"""Characters of their beginning, where they are longer."""

_HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
    }
)
"""Reasons to wait that end when somebody changes something, and not before."""

_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why one pod is not ready."""

    pod: str
    hopeless: bool
    """It will not get ready by waiting."""
    sentence: str


def trouble_of(pod: Object) -> Trouble | None:
    """Why a pod is not ready; None if it is."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    if status.get("phase") == "Failed":
        words = ": ".join(cut(status[key]) for key in ("reason", "message") if status.get(key))
        # Evicted, say: its workload has made another one already.
        return Trouble(pod=name, hopeless=False, sentence=words or "it failed")
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        # A node may join, or another pod leave.
        words = f"{scheduled.get('reason')}: {cut(scheduled.get('message', ''))}"
        return Trouble(pod=name, hopeless=False, sentence=words)
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        if sentence := _container_trouble(container):
            reason = (container.get("state") or {}).get("waiting", {}).get("reason")
            return Trouble(pod=name, hopeless=reason in _HOPELESS, sentence=sentence)
    if condition_of(pod, "Ready").get("status") == "True":
        return None
    return Trouble(pod=name, hopeless=False, sentence="it is not ready yet")


def _container_trouble(container: Mapping[str, Any]) -> str:
    """Why a container does not run; empty if it does, or is about to."""
    state = container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    if ended and ended.get("exitCode") != 0:
        return _exit(ended)
    if not waiting.get("reason") or waiting["reason"] in _STARTING:
        return ""
    last = (container.get("lastState") or {}).get("terminated") or {}
    cause = _exit(last) if last else cut(waiting.get("message", ""))
    return f"{waiting['reason']}: {cause}" if cause else str(waiting["reason"])


def _exit(ended: Mapping[str, Any]) -> str:
    if ended.get("reason") == "OOMKilled":
        return "OOMKilled: it used more memory than its limit"
    # The last lines of its log: what it died of stands at their end.
    words = cut_front(ended.get("message") or "")
    return f"exit code {ended.get('exitCode')}{f': {words}' if words else ''}"


def condition_of(obj: Object, kind: str) -> Mapping[str, Any]:
    """The condition of a type in an object's status; empty if there is none."""
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind:
            return dict(condition)
    return {}


def cut_front(text: str) -> str:
    r"""Shorten to one line as `cut` does, but keep the end.

    >>> cut_front("Traceback\n  " + "x" * 300 + "\nKeyError: 'A'")[-20:]
    "xxxxxx KeyError: 'A'"
    """
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else f"...{line[3 - _LONGEST_MESSAGE :]}"


def cut(text: str) -> str:
    """Shorten somebody else's words to one line of a readable length.

    Out of the middle: they begin with what failed, and end with why.

    >>> cut("cannot pull " + "x" * 300 + ": connection refused")[-25:]
    'xxxxx: connection refused'
    """
    line = " ".join(text.split())
    if len(line) <= _LONGEST_MESSAGE:
        return line
    return f"{line[:_BEGINNING]}...{line[_BEGINNING + 3 - _LONGEST_MESSAGE :]}"
