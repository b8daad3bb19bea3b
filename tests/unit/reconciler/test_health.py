"""How an object is doing: one row for each way to be well, on the way, or stuck."""

from typing import Any

import pytest

from jac_converge.reconciler.health import health_of
from jac_converge.reconciler.objects import Object

LABELS = {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/component": "app"}
UNSEEN = "waiting for its controller to see the change"


TEMPLATE = {
    "metadata": {"labels": LABELS, "annotations": {"jac-converge/config": "new"}},
    "spec": {"containers": [{"name": "app", "image": "shop:2"}]},
}


def live(kind: str, *, spec: Any = None, generation: int = 1, **status: Any) -> Object:
    """Make a live object; `observedGeneration` is up to date unless given."""
    return {
        "kind": kind,
        "metadata": {"name": "shop", "generation": generation},
        "spec": spec or {},
        "status": {"observedGeneration": generation, **status},
    }


def deployment(*, replicas: int = 3, conditions: tuple[Any, ...] = (), **status: Any) -> Object:
    """Make a live Deployment."""
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}
    return live("Deployment", spec=spec, conditions=list(conditions), **status)


def stateful_set(*, replicas: int = 1, **status: Any) -> Object:
    """Make a live StatefulSet."""
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}}
    return live("StatefulSet", spec=spec, **status)


def condition(
    kind: str, status: str = "True", reason: str = "", message: str = "", **more: Any
) -> Any:
    """Make a condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message, **more}


def route(*conditions: Any) -> Object:
    """Make a live HTTPRoute of the second generation."""
    spec = {"parentRefs": [{"name": "public"}]}
    parents = [{"conditions": list(conditions)}] if conditions else []
    return live("HTTPRoute", spec=spec, generation=2, parents=parents)


def progressing(replica_set: str, reason: str = "ReplicaSetUpdated") -> Any:
    """Make the condition that names the current ReplicaSet."""
    message = f'ReplicaSet "{replica_set}" is progressing.'
    return condition("Progressing", reason=reason, message=message)


def pod(
    name: str = "shop-new-a",
    *,
    owner: str = "ReplicaSet/shop-new",
    revision: str = "",
    image: str = "shop:2",
    config: str = "new",
    **status: Any,
) -> Object:
    """Make a pod with a status."""
    kind, _, owner_name = owner.partition("/")
    labels = {**LABELS, **({"controller-revision-hash": revision} if revision else {})}
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"jac-converge/config": config, "added-by": "admission"},
            "ownerReferences": [{"kind": kind, "name": owner_name}],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "sidecar"}, {"name": "app", "image": image, "stdin": True}],
        },
        "status": status,
    }


def waits(reason: str, message: str = "", *, last: Any = None) -> dict[str, Any]:
    """Make the status of a pod whose container waits."""
    container: dict[str, Any] = {"state": {"waiting": {"reason": reason, "message": message}}}
    if last:
        container["lastState"] = {"terminated": last}
    return {"phase": "Pending", "containerStatuses": [container]}


def ended(**terminated: Any) -> dict[str, Any]:
    """Make the status of a pod whose container ended."""
    return {"phase": "Running", "containerStatuses": [{"state": {"terminated": terminated}}]}


RUNNING: dict[str, Any] = {
    "phase": "Running",
    "containerStatuses": [{"state": {"running": {}}}],
    "conditions": [condition("Ready")],
}
UNSCHEDULABLE: dict[str, Any] = {
    "phase": "Pending",
    "conditions": [condition("PodScheduled", "False", "Unschedulable", "0/3 nodes\nare available")],
}


@pytest.mark.parametrize(
    ("obj", "state", "sentence"),
    [
        pytest.param(
            deployment(updatedReplicas=3, availableReplicas=3),
            "current",
            "3 of 3 replicas available",
            id="deployment complete",
        ),
        pytest.param(
            deployment(replicas=0), "current", "0 of 0 replicas available", id="deployment of none"
        ),
        pytest.param(
            deployment(observedGeneration=0),
            "progressing",
            UNSEEN,
            id="deployment not seen",
        ),
        pytest.param(
            {"kind": "Deployment", "metadata": {"name": "shop"}, "spec": {}},
            "progressing",
            UNSEEN,
            id="deployment without a status",
        ),
        pytest.param(
            deployment(updatedReplicas=1, availableReplicas=3),
            "progressing",
            "waiting for 2 of 3 replicas to be updated",
            id="deployment not updated",
        ),
        pytest.param(
            deployment(updatedReplicas=3, availableReplicas=1),
            "progressing",
            "waiting for 2 of 3 replicas to be available",
            id="deployment not available",
        ),
        pytest.param(
            deployment(replicas=1),
            "progressing",
            "waiting for 1 of 1 replica to be updated",
            id="deployment new",
        ),
        pytest.param(
            stateful_set(readyReplicas=1),
            "current",
            "1 of 1 replica ready",
            id="stateful set complete",
        ),
        pytest.param(
            {"kind": "StatefulSet", "metadata": {"name": "shop", "generation": 1}, "spec": {}},
            "progressing",
            UNSEEN,
            id="stateful set not seen",
        ),
        pytest.param(
            stateful_set(),
            "progressing",
            "waiting for 1 of 1 replica to be ready",
            id="stateful set not ready",
        ),
        pytest.param(
            stateful_set(readyReplicas=1, currentRevision="a", updateRevision="b"),
            "progressing",
            "waiting for 1 of 1 replica to be updated",
            id="stateful set not updated",
        ),
        pytest.param(
            live("PersistentVolumeClaim", phase="Bound"),
            "current",
            "it is bound to a volume",
            id="claim bound",
        ),
        pytest.param(
            live("PersistentVolumeClaim", phase="Pending"),
            "progressing",
            "waiting for a volume",
            id="claim pending",
        ),
        pytest.param(
            live("PersistentVolumeClaim", phase="Lost"),
            "failed",
            "its volume is gone",
            id="claim lost",
        ),
        pytest.param(pod(**RUNNING), "current", "it is ready", id="pod ready"),
        pytest.param(pod(phase="Succeeded"), "current", "it ran to its end", id="pod done"),
        pytest.param(pod(phase="Failed"), "failed", "it failed", id="pod failed"),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="the node was low on memory"),
            "failed",
            "Evicted: the node was low on memory",
            id="pod evicted",
        ),
        pytest.param(
            pod(**waits("CrashLoopBackOff")), "failed", "CrashLoopBackOff", id="pod crash-looping"
        ),
        pytest.param(
            pod(**UNSCHEDULABLE),
            "progressing",
            "Unschedulable: 0/3 nodes are available",
            id="pod unschedulable",
        ),
        pytest.param(
            live("HorizontalPodAutoscaler", conditions=[condition("ScalingActive")]),
            "current",
            "it scales",
            id="autoscaler active",
        ),
        pytest.param(
            live("HorizontalPodAutoscaler"), "current", "it is there", id="autoscaler new"
        ),
        pytest.param(
            live(
                "HorizontalPodAutoscaler",
                conditions=[
                    condition("AbleToScale"),
                    condition("ScalingActive", "False", "FailedGetResourceMetric", "no metrics"),
                ],
            ),
            "current",
            "it does not scale (FailedGetResourceMetric): no metrics",
            id="autoscaler without metrics",
        ),
        pytest.param(
            live(
                "HorizontalPodAutoscaler",
                conditions=[condition("ScalingActive", "False", "ScalingDisabled", "zero")],
            ),
            "current",
            "it scales",
            id="autoscaler switched off",
        ),
        pytest.param(
            live(
                "HorizontalPodAutoscaler",
                conditions=[condition("AbleToScale", "False", "FailedGetScale", "not found")],
            ),
            "progressing",
            "it cannot scale (FailedGetScale): not found",
            id="autoscaler without a target",
        ),
        pytest.param(
            live("Job", active=1, failed=2),
            "progressing",
            "waiting for its end; 1 pod at work, 2 failed",
            id="job at work",
        ),
        pytest.param(
            live("Job", conditions=[condition("Complete")]), "current", "it is done", id="job done"
        ),
        pytest.param(
            live("Job", conditions=[condition("Failed", message="too many retries")]),
            "failed",
            "it failed: too many retries",
            id="job failed",
        ),
        pytest.param(
            live("Job", spec={"suspend": True}), "current", "it is suspended", id="job suspended"
        ),
        pytest.param(
            route(), "progressing", "waiting for Gateway public to take the route", id="route new"
        ),
        pytest.param(
            route(condition("Accepted", observedGeneration=1)),
            "progressing",
            "waiting for Gateway public to take the route",
            id="route changed since",
        ),
        pytest.param(
            route(condition("Accepted", observedGeneration=2)),
            "current",
            "its Gateway takes it",
            id="route taken",
        ),
        pytest.param(
            route(
                condition("Accepted", observedGeneration=2),
                condition("ResolvedRefs", "False", message="no such Service", observedGeneration=2),
            ),
            "failed",
            "no such Service",
            id="route refused",
        ),
        pytest.param(
            live("PodDisruptionBudget", currentHealthy=2, desiredHealthy=1),
            "current",
            "2 healthy pods, 1 needed",
            id="budget met",
        ),
        pytest.param(
            live("PodDisruptionBudget", currentHealthy=0, desiredHealthy=1),
            "progressing",
            "waiting for 1 more healthy pod",
            id="budget not met",
        ),
        pytest.param(
            live("PodDisruptionBudget", observedGeneration=0),
            "progressing",
            UNSEEN,
            id="budget new",
        ),
        pytest.param(live("Service"), "current", "it is there", id="service"),
        pytest.param(
            live("Service", spec={"type": "LoadBalancer"}, loadBalancer={}),
            "progressing",
            "waiting for an address from the load balancer",
            id="load balancer without an address",
        ),
        pytest.param(
            live(
                "Service",
                spec={"type": "LoadBalancer"},
                loadBalancer={"ingress": [{"ip": "192.0.2.1"}]},
            ),
            "current",
            "it is there",
            id="load balancer",
        ),
        pytest.param(
            {"kind": "Secret", "metadata": {"name": "shop"}}, "current", "it is there", id="secret"
        ),
    ],
)
def test_health_follows_the_status(obj: Object, state: str, sentence: str) -> None:
    """Each status has one word and one sentence."""
    health = health_of(obj)

    assert (state, sentence) == (health.state, health.sentence)


def test_deployment_is_progressing_while_old_replicas_end() -> None:
    """Updated and available is not enough: two versions still answer."""
    obj = deployment(updatedReplicas=3, availableReplicas=3)
    obj["status"]["replicas"] = 5

    assert "waiting for 2 old replicas to end" == health_of(obj).sentence
    assert "progressing" == health_of(obj).state


def test_stateful_set_is_progressing_while_replicas_end() -> None:
    """Scaled down is when the last one has gone."""
    obj = stateful_set(readyReplicas=1)
    obj["status"]["replicas"] = 2

    assert "waiting for 1 replica to end" == health_of(obj).sentence
    assert "progressing" == health_of(obj).state


@pytest.mark.parametrize(
    ("obj", "sentence"),
    [
        pytest.param(
            {"kind": "Service", "metadata": {"name": "shop"}}, "it is being deleted", id="plain"
        ),
        pytest.param(
            {"kind": "Service", "metadata": {"name": "shop", "finalizers": ["a/b", "c/d"]}},
            "it is being deleted (finalizers: a/b, c/d)",
            id="finalizers",
        ),
        pytest.param(
            live(
                "Namespace",
                conditions=[
                    condition("NamespaceContentRemaining", message="some content remains"),
                    condition("NamespaceFinalizersRemaining", "False", message="none"),
                ],
            ),
            "it is being deleted (some content remains)",
            id="namespace with content",
        ),
    ],
)
def test_health_is_progressing_during_deletion(obj: Object, sentence: str) -> None:
    """What holds up a deletion is named."""
    leaving = {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}

    assert ("progressing", sentence) == (health_of(leaving).state, health_of(leaving).sentence)


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        pytest.param(
            waits("ImagePullBackOff", 'Back-off pulling image "shop:2"'),
            "failed",
            'ImagePullBackOff: Back-off pulling image "shop:2"',
            id="image cannot be pulled",
        ),
        pytest.param(
            waits("ErrImagePull", "timeout"),
            "progressing",
            "ErrImagePull: timeout",
            id="image not pulled yet",
        ),
        pytest.param(
            waits("CreateContainerConfigError", 'secret "shop-secrets" not found'),
            "failed",
            'CreateContainerConfigError: secret "shop-secrets" not found',
            id="configuration missing",
        ),
        pytest.param(
            waits("CrashLoopBackOff", "back-off 5m0s", last={"exitCode": 1, "reason": "Error"}),
            "failed",
            "CrashLoopBackOff: exit code 1",
            id="crashes",
        ),
        pytest.param(
            waits("CrashLoopBackOff", last={"exitCode": 137, "reason": "OOMKilled"}),
            "failed",
            "CrashLoopBackOff: OOMKilled: it used more memory than its limit",
            id="runs out of memory",
        ),
        pytest.param(
            ended(exitCode=2, message="no such option"),
            "progressing",
            "exit code 2: no such option",
            id="crashed once",
        ),
        pytest.param(ended(exitCode=0), "progressing", "it is not ready yet", id="ended well"),
        pytest.param(
            waits("ContainerCreating"), "progressing", "it is not ready yet", id="starting"
        ),
        pytest.param({"phase": "Running"}, "progressing", "it is not ready yet", id="no container"),
        pytest.param(
            {"initContainerStatuses": [{"state": {"waiting": {"reason": "InvalidImageName"}}}]},
            "failed",
            "InvalidImageName",
            id="init container",
        ),
        pytest.param(
            UNSCHEDULABLE,
            "progressing",
            "Unschedulable: 0/3 nodes are available",
            id="unschedulable",
        ),
        pytest.param(
            waits("CrashLoopBackOff", last={"exitCode": 1, "message": f"{'x' * 300}\nKeyError"}),
            "failed",
            f"CrashLoopBackOff: exit code 1: ...{'x' * 244} KeyError",
            id="long log",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted"}, "progressing", "Evicted", id="evicted"
        ),
        pytest.param(
            waits("ImagePullBackOff", f"cannot pull {'x' * 300}: connection refused"),
            "failed",
            f"ImagePullBackOff: cannot pull {'x' * 84}...{'x' * 137}: connection refused",
            id="long message",
        ),
    ],
)
def test_deployment_tells_why_its_pod_does_not_run(
    status: dict[str, Any], state: str, reason: str
) -> None:
    """The sentence ends with the reason; what waiting cannot heal has failed."""
    obj = deployment(replicas=1, updatedReplicas=1, conditions=(progressing("shop-new"),))

    health = health_of(obj, [pod(**status)])

    expected = f"waiting for 1 of 1 replica to be available; pod shop-new-a: {reason}"
    assert (state, expected) == (health.state, health.sentence)


def test_deployment_tells_the_worst_reason_and_how_many_more() -> None:
    """A hopeless pod comes before one that may heal, whatever their order."""
    obj = deployment(updatedReplicas=3, conditions=(progressing("shop-new"),))
    pods = [pod("shop-new-a"), pod("shop-new-b", **waits("CrashLoopBackOff")), pod("shop-new-c")]

    assert (
        "waiting for 3 of 3 replicas to be available; "
        "pod shop-new-b: CrashLoopBackOff (and 2 pods more)"
    ) == health_of(obj, pods).sentence


CRASHING = waits("CrashLoopBackOff")
OLD = "ReplicaSet/shop-old"


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(pod(owner=OLD, image="shop:1", **CRASHING), id="another image"),
        pytest.param(pod(owner=OLD, config="old", **CRASHING), id="another configuration"),
        pytest.param({"metadata": {"name": "x"}, "status": CRASHING}, id="no labels"),
        pytest.param(pod(owner="ReplicaSet/other-new", **CRASHING), id="made by somebody else"),
        pytest.param(pod(owner="Job/shop-new", **CRASHING), id="made by another controller"),
        pytest.param(
            {
                "metadata": {"name": "x", "labels": LABELS, "deletionTimestamp": "2026-01-01"},
                "status": CRASHING,
            },
            id="on its way out",
        ),
        pytest.param(pod(**RUNNING), id="in good health"),
    ],
)
def test_deployment_ignores_pods_it_does_not_count_on(stranger: Object) -> None:
    """Pods of another version, of others, or on their way out say nothing about this one."""
    obj = deployment(replicas=1, updatedReplicas=1, conditions=(progressing("shop-new"),))

    health = health_of(obj, [stranger])

    assert "waiting for 1 of 1 replica to be available" == health.sentence
    assert "progressing" == health.state


def test_deployment_ignores_pods_while_it_has_none_of_the_new_version() -> None:
    """Until then its condition may name the version before, whose pods are no longer wanted."""
    obj = deployment(replicas=1, conditions=(progressing("shop-old"),))

    assert "progressing" == health_of(obj, [pod(owner=OLD, image="shop:1", **CRASHING)]).state


def surging() -> Object:
    """Make a Deployment whose old replica answers while the new one does not."""
    obj = deployment(replicas=1, updatedReplicas=1, availableReplicas=1, unavailableReplicas=1)
    obj["status"]["replicas"] = 2
    obj["status"]["conditions"] = [progressing("shop-new")]
    return obj


def test_deployment_tells_why_its_new_pod_does_not_run_while_the_old_one_answers() -> None:
    """The old replica counts as available; it must not hide that the new one never will be."""
    pods = [pod("shop-old-a", owner=OLD, image="shop:1", **RUNNING), pod(**CRASHING)]

    health = health_of(surging(), pods)

    expected = "waiting for 1 of 1 replica to be available; pod shop-new-a: CrashLoopBackOff"
    assert ("failed", expected) == (health.state, health.sentence)


def test_deployment_does_not_blame_the_version_that_a_change_back_has_ended() -> None:
    """The condition still names it; the template tells the pods apart."""
    bad = pod("shop-new-a", image="shop:3", **CRASHING)
    good = pod("shop-old-a", owner=OLD, **RUNNING)

    assert "progressing" == health_of(surging(), [bad, good]).state


@pytest.mark.parametrize(
    "message",
    ['Created new replica set "shop-new"', 'ReplicaSet "shop-new" has timed out progressing.'],
)
def test_deployment_goes_by_its_replica_set_where_pods_are_rewritten(message: str) -> None:
    """With a mirror's image in every pod, none looks like the template."""
    named = condition("Progressing", reason="any", message=message)
    obj = deployment(replicas=1, updatedReplicas=1, conditions=(named,))
    old = pod("shop-old-a", owner=OLD, image="mirror/shop:1", **CRASHING)
    new = pod(image="mirror/shop:2", **waits("ImagePullBackOff"))

    assert "progressing" == health_of(obj, [old]).state
    assert "pod shop-new-a: ImagePullBackOff" in health_of(obj, [old, new]).sentence


def test_deployment_judges_every_pod_when_no_version_is_named() -> None:
    """A paused Deployment names none."""
    obj = deployment(replicas=1, updatedReplicas=1)

    assert "failed" == health_of(obj, [pod(image="mirror/shop:2", **CRASHING)]).state


def test_deployment_has_failed_when_its_deadline_has_passed() -> None:
    """The controller itself gave up; the pod's reason still helps."""
    late = progressing("shop-new", "ProgressDeadlineExceeded")
    obj = deployment(replicas=1, updatedReplicas=1, conditions=(late,))
    waiting = "waiting for 1 of 1 replica to be available; no progress within its deadline"

    assert ("failed", waiting) == (health_of(obj).state, health_of(obj).sentence)
    told = health_of(obj, [pod(**UNSCHEDULABLE)])
    assert "failed" == told.state
    assert f"{waiting}; pod shop-new-a: Unschedulable: 0/3 nodes are available" == told.sentence


@pytest.mark.parametrize(
    ("message", "state"),
    [
        pytest.param('pods "a" is forbidden: exceeded quota: q', "failed", id="quota"),
        pytest.param("failed calling webhook: timeout", "progressing", id="webhook"),
    ],
)
def test_deployment_tells_why_no_pod_can_be_made(message: str, state: str) -> None:
    """What forbids a pod is told, though there is no pod to tell it."""
    failure = condition("ReplicaFailure", reason="FailedCreate", message=message)
    health = health_of(deployment(replicas=1, conditions=(failure,)))

    expected = f"waiting for 1 of 1 replica to be updated; no pod can be made: {message}"
    assert (state, expected) == (health.state, health.sentence)


@pytest.mark.parametrize(
    ("revision", "more"),
    [
        pytest.param("b", "", id="of this revision"),
        pytest.param("", "", id="of no revision"),
        pytest.param(
            "a", "; it is of the previous revision: delete it to go on", id="of the previous one"
        ),
    ],
)
def test_stateful_set_tells_why_its_pod_does_not_run(revision: str, more: str) -> None:
    """A broken pod of the previous revision holds up the next one, so it is told too."""
    obj = stateful_set(currentRevision="a", updateRevision="b")
    broken = pod("shop-0", owner="StatefulSet/shop", revision=revision, **waits("CrashLoopBackOff"))

    health = health_of(obj, [broken])

    reason = f"pod shop-0: CrashLoopBackOff{more}"
    assert f"waiting for 1 of 1 replica to be ready; {reason}" == health.sentence
    assert "failed" == health.state


def test_stateful_set_says_nothing_of_healthy_pods() -> None:
    """A pod of the previous revision that runs is replaced by itself."""
    obj = stateful_set(readyReplicas=1, currentRevision="a", updateRevision="b")
    fine = pod("shop-0", owner="StatefulSet/shop", revision="a", **RUNNING)

    assert "waiting for 1 of 1 replica to be updated" == health_of(obj, [fine]).sentence
