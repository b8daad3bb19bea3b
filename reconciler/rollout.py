"""How the roll-out of the app goes, and what follows: a line in its record, or the way back.

It runs with every look at the statuses, and writes when an outcome is known, never in between. It
changes when something else is to follow from a roll-out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from jac_converge.config.load import App
from jac_converge.reconciler.converge import Converger
from jac_converge.reconciler.errors import ClusterError
from jac_converge.reconciler.health import Health
from jac_converge.reconciler.lease import Lease
from jac_converge.reconciler.objects import Object, ObjectKey
from jac_converge.reconciler.pod_trouble import condition_of
from jac_converge.reconciler.releases import History, judged, obstacle
from jac_converge.reconciler.render import Row
from jac_converge.reconciler.steps import Create, Keep, Plan, Update

__all__ = ["Rollouts", "new_image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """Follows the roll-outs of one app.

    Args:
        converger: knows what is desired, and keeps the record.
        lease: nothing is written without it.
        wall: seconds since the epoch.
        say: tells a person.
    """

    converger: Converger
    lease: Lease
    wall: Callable[[], float]
    say: Callable[[str], None]

    def judge(self, app: App, plan: Plan, rows: Iterable[Row]) -> bool:
        """Note how the roll-out stands, once that is known, and pin the last good one if it failed.

        Args:
            app: what is rolled out.
            plan: a plan that was carried out.
            rows: every object and its health, afterwards.

        Returns:
            Whether another release is desired from now on.
        """
        health, version = _health_of_app(app, plan, rows), self.converger.version
        if health is None or version is None:
            return False
        before = self.converger.history
        history = judged(
            before,
            version,
            health,
            at=self._now(),
            who=self._person(),
            rollback=app.settings.kubernetes.rollback,
        )
        # Somebody may have deleted the record, of which we know what it said.
        lost = before.releases and not self.converger.is_recorded(app)
        if (history == before and not lost) or not self._record(app, history):
            return False
        good, failed = history.last_good, history.releases[-1].outcome == "failed"
        if failed and good and (why := obstacle(good, version)):
            self.say(why)
        return history.pinned(version) is not None

    def _record(self, app: App, history: History) -> bool:
        try:
            if self.lease.held or self.lease.acquire():
                self.converger.record(app, history)
                return True
        except ClusterError as error:
            # The app is none the worse for it; the next look tries again.
            self.say(f"the release is not recorded: {error}")
        return False

    def _now(self) -> str:
        return datetime.fromtimestamp(self.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _person(self) -> str:
        return self.lease.holder.rpartition(":")[0]


def new_image(
    desired: Mapping[ObjectKey, Object],
    live: Mapping[ObjectKey, Object],
    pods: Iterable[Object],
    app: str,
) -> str:
    """The image that the app's pods are about to ask for; empty where they run it already.

    One that is ready tells that the cluster has it, whatever somebody wrote into the Deployment
    since: to put that back must not wait until an image of megabytes was loaded once more.
    """
    key = ObjectKey("Deployment", app)
    wanted, there = (
        obj["spec"]["template"]["spec"]["containers"][0]["image"] if obj else ""
        for obj in (desired.get(key), live.get(key))
    )
    running = {
        pod["spec"]["containers"][0]["image"]
        for pod in pods
        if condition_of(pod, "Ready").get("status") == "True"
    }
    return "" if wanted == there or wanted in running else str(wanted)


def _health_of_app(app: App, plan: Plan, rows: Iterable[Row]) -> Health | None:
    """Of the app's Deployment; None while it is not what we want it to be."""
    key = ObjectKey("Deployment", app.name)
    step = next((step for step in plan.steps if step.key == key), None)
    asked = isinstance(step, Create | Update) or (isinstance(step, Keep) and not step.reason)
    if not asked or plan.refusals:
        return None
    return next((row.health for row in rows if row.key == key), None)
