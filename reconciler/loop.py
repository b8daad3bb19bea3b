"""wait -> load -> build -> plan -> apply -> assess -> next due.

`jac scale` runs it until the app is healthy, `jac scale --watch` until it is stopped. A steady
state writes nothing and says nothing.
"""

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from threading import Event
from typing import Final

from jac_converge.config.load import App
from jac_converge.reconciler.apply import Outcome
from jac_converge.reconciler.errors import (
    ClusterError,
    Held,
    Interrupted,
    Invalid,
    Missing,
    NoCluster,
    Paused,
    Refused,
)
from jac_converge.reconciler.fights import PAUSE, Fights
from jac_converge.reconciler.mirror import DISPENSABLE, READ_OWN_WRITES
from jac_converge.reconciler.objects import ObjectKey, keyed
from jac_converge.reconciler.parts import Parts
from jac_converge.reconciler.render import (
    heal_of,
    healed_briefly,
    left_line,
    plan_lines,
    worst,
)
from jac_converge.reconciler.retry import Backoff, asked_for
from jac_converge.reconciler.rollout import Rollouts, new_image
from jac_converge.reconciler.rows import rows_of
from jac_converge.reconciler.snapshot import Policy
from jac_converge.reconciler.steps import Delete, Keep, Plan, Recreate, Update, Verdict
from jac_converge.reconciler.tally import what_was_written
from jac_converge.reconciler.unwanted import RECHECK

__all__ = ["Loop"]

logger = logging.getLogger(__name__)

HOPELESS: Final = (Held, Invalid, NoCluster, Paused, Refused)
"""Errors that neither waiting nor the next plan helps against; a person has to act."""


class Loop:
    """Keeps one app converged."""

    def __init__(self, parts: Parts, *, adopt: bool = False, told: Iterable[str] = ()) -> None:
        self._p = parts
        self._adopt = adopt
        self._stop = parts.converger.stop
        self._backoff = Backoff()
        self._rollouts = Rollouts(
            converger=parts.converger, lease=parts.lease, wall=parts.wall, say=parts.view.say
        )
        self._known: set[ObjectKey] = set()
        """What was there and wanted: its absence is somebody else's doing."""
        self._written: set[ObjectKey] = set()
        self._healed: dict[ObjectKey, str] = {}
        self._fights = Fights()
        self._app: App | None = None
        """The configuration of the latest pass."""
        self._plan: Plan | None = None
        self._pinned = False
        self._carried_out = False
        """Whether that plan left nothing to do: else a good health is that of the state before."""
        self._standing = [*told]
        """What `_say_what_stands` told, or somebody before it."""
        self._lease_wanted = Event()
        self._paused = parts.lease.paused
        """As the loop told it last."""
        self._news: deque[str] = deque()
        self._until_healthy = False
        self.verdict: Verdict = "stopped"
        """How the passes ended."""
        self.reason = "the cluster was not read yet"
        """Why the app is not as desired, as far as known."""

    def begin(self, *, hold_lease: bool = True) -> None:
        """Ask for the first pass; `run_passes` makes it."""
        if hold_lease:
            self._lease_wanted.set()
        self._p.trigger.poke("start")
        self._schedule_resync()

    def stop(self) -> None:
        """End after the write in flight; callable from a signal handler and from any thread."""
        self._stop.set()
        self._p.trigger.stop()

    def let_go(self) -> None:
        """Release the lease, for the next one to take."""
        try:
            self._p.lease.release()
        except ClusterError as error:
            logger.debug("lease was left to expire", extra={"cause": error})

    def run_passes(self, *, until_healthy: bool = False, timeout: float | None = None) -> None:
        """Make each pass that the trigger asks for, until stopped.

        Args:
            until_healthy: also end when the app is as desired, or cannot become so.
            timeout: seconds after which a run `until_healthy` has failed.
        """
        p, self._until_healthy = self._p, until_healthy
        if timeout is not None:
            p.trigger.poke_at(p.clock() + timeout, "timeout")
        while causes := p.trigger.wait():
            with p.turn:
                verdict = self._pass_safely(causes)
            if verdict is None and "timeout" in causes:
                verdict = "failed"
                self.reason = f"not healthy after {timeout:g} s: {self.reason}; see --timeout"
            if self._until_healthy and verdict:
                self.verdict = verdict
                told = what_was_written(self._plan, self._written) if self._plan else ""
                self.reason += f"; {told}" if told else ""
                return

    def _pass_safely(self, causes: frozenset[str]) -> Verdict | None:
        p = self._p
        asked: float | None = None
        if "resync" in causes:
            self._schedule_resync()
        try:
            return self._pass(causes)
        except ClusterError as error:
            if verdict := self._fail(error):
                return verdict
            asked = asked_for(error)
            p.view.say(str(error))
        except BrokenPipeError:
            # Whoever read us is gone, as with `| head`: that is an end, not an error.
            self.stop()
        except Exception:
            # A mistake of ours in one pass must not end the loop: it is tried again.
            logger.exception("pass failed", extra={"action": "retry"})
        p.trigger.poke_at(p.clock() + self._backoff.fail(asked), "retry")
        return None

    def _fail(self, error: ClusterError) -> Verdict | None:
        """Note why it does not go on; a run until healthy ends where waiting cannot help."""
        if isinstance(error, Interrupted):
            return None
        self.reason = str(error)
        hopeless = self._until_healthy and isinstance(error, HOPELESS)
        return "failed" if hopeless else None

    def _pass(self, causes: frozenset[str]) -> Verdict | None:
        p, mirror = self._p, self._p.converger.mirror
        while self._news:
            p.view.say(self._news.popleft())
        self._say_what_stands()
        if not mirror.synced:
            return None
        if not self._pinned:
            p.converger.cluster.check_identity()
            self._pinned = True
        mirror.settle()
        app = p.source.app
        if causes <= {"status"} and self._plan and not self._plan.holds:
            return self._assess(self._plan)
        plan = p.converger.plan(app, self._policy(app), complete="resync" in causes)
        self._plan, self._carried_out = plan, not plan.writes
        self._tell_watches()
        self._say_what_stands()
        self._note_what_is_there()
        if plan.refusals:
            p.trigger.poke_at(p.clock() + RECHECK, "refused")
        if not plan.writes:
            self._schedule(wrote=False)
            return self._assess(plan)
        failures = self._write(plan)
        again = any(isinstance(step, Recreate) for step in plan.writes)
        self._carried_out = not failures and not again
        self._schedule(*failures, wrote=True)
        verdicts = [self._fail(error) for error in failures]
        return "failed" if "failed" in verdicts else None

    def _tell_watches(self) -> None:
        used = {obj["kind"] for obj in self._p.converger.desired}
        for watch in self._p.watches:
            if watch.kind.name in used:
                watch.need()

    def _say_what_stands(self) -> None:
        """Tell what a person should know while it lasts; a heal in between is no news of it."""
        p, standing = self._p, [*self._p.converger.notes]
        if p.source.problem:
            standing.append(f"{p.source.problem}\nthe last good configuration stays in force")
        for kind, error in p.converger.mirror.blocked.items():
            if kind not in DISPENSABLE:
                standing.append(f"{kind} cannot be watched: {error}")
        steps = self._plan.steps if self._plan else ()
        standing += [left_line(s) for s in steps if isinstance(s, Keep) and s.told]
        for message in standing:
            if message not in self._standing:
                p.view.say(message)
        self._standing = standing

    def _policy(self, app: App) -> Policy:
        if app != self._app:
            self._fights = Fights()
            self._app = app
        live = self._p.converger.mirror.snapshot()
        ignore = self._fights.rules(live, self._p.clock())
        # Who runs `jac scale` asks for jac.toml to be in force.
        mode = "heal" if self._until_healthy else app.settings.watch.mode
        return Policy(adopt=self._adopt, mode=mode, ignore=ignore)

    def _write(self, plan: Plan) -> tuple[ClusterError, ...]:
        """Take the steps if we may; returns why something is left to do."""
        p = self._p
        self._lease_wanted.set()
        idle = p.lease.rival_lives or p.lease.paused
        # Before anything else: what cannot be brought leaves everything as it is.
        if not idle and (error := self._bring_image()):
            return (error,)
        if not p.lease.held and (obstacle := self._acquire(plan)):
            return obstacle
        if pause := p.lease.paused:
            told = "\n".join(plan_lines(Plan(steps=plan.writes)))
            p.view.say(f"{pause.sentence}; not written meanwhile:\n{told}")
            p.trigger.poke("status")
            return (Paused(f"{p.lease.name} check", pause.sentence, "end that with --resume"),)
        # Before the write: its own echo will be the latest thing noticed.
        noticed = {s.key: p.converger.mirror.noticed_at(s.key) for s in plan.writes}
        outcome = p.converger.apply(plan, allowed=lambda: p.lease.held)
        heals = tuple(
            heal
            for result in outcome.results
            if not result.error
            and (
                heal := heal_of(
                    result,
                    noticed[result.step.key],
                    known=result.step.key in self._known,
                )
            )
        )
        self._healed |= {heal.key: healed_briefly(heal) for heal in heals}
        self._note_what_was_done(outcome)
        p.view.applied(outcome, heals)
        self._give_in(outcome)
        again = any(isinstance(it.step, Recreate) and not it.error for it in outcome.results)
        p.trigger.poke("content" if again else "status")
        return outcome.errors

    def _bring_image(self) -> ClusterError | None:
        """See to it that the nodes find an image before pods ask for it; returns what failed."""
        p = self._p
        desired, mirror = keyed(p.converger.desired), p.converger.mirror
        if not (image := new_image(desired, mirror.snapshot(), mirror.pods(), p.source.app.name)):
            return None
        # Beforehand: whoever ends us does not wait until this thread can say so.
        before = self.reason
        self.reason = f"interrupted while {image} was brought to the cluster"
        if not self._written:
            self.reason += "; nothing was changed"
        try:
            p.source.bring(image, p.view.say)
        except ClusterError as error:
            if not self._stop.is_set():
                p.view.say(str(error))
                return error
        finally:
            if not self._stop.is_set():
                self.reason = before
        return Interrupted(image, "we were told to end") if self._stop.is_set() else None

    def _note_what_is_there(self) -> None:
        wanted, live = keyed(self._p.converger.desired), self._p.converger.mirror.snapshot()
        there = {k for k, it in live.items() if not it["metadata"].get("deletionTimestamp")}
        self._known = (self._known | there) & wanted.keys()

    def _note_what_was_done(self, outcome: Outcome) -> None:
        for result in outcome.results:
            if result.error:
                self._written.discard(result.step.key)
            else:
                self._written.add(result.step.key)
        for step in (result.step for result in outcome.results if not result.error):
            if isinstance(step, Delete | Recreate):
                self._known.discard(step.key)
            else:
                self._known.add(step.key)

    def _give_in(self, outcome: Outcome) -> None:
        """Stop healing what a rival changes again and again, and say so."""
        p, now = self._p, self._p.clock()
        healed = [r.step for r in outcome.results if not r.error and isinstance(r.step, Update)]
        for fight in self._fights.heal(healed, now):
            p.view.say(fight.sentence)
            p.trigger.poke_at(now + PAUSE, "fight")

    def _acquire(self, plan: Plan) -> tuple[ClusterError, ...]:
        """Take the lease; it lives in the namespace, which may have to be made first."""
        p = self._p
        try:
            held = p.lease.acquire()
        except Missing as error:
            first = tuple(s for s in plan.writes if s.key.kind == "Namespace")
            outcome = p.converger.apply(Plan(steps=first))
            self._note_what_was_done(outcome)
            p.view.applied(outcome, ())
            p.trigger.poke("content")
            return outcome.errors or (error,)
        if held:
            return ()
        p.view.say(f"{p.lease.obstacle.cause}; watching without writing")
        return (p.lease.obstacle,)

    def _schedule(self, *failures: ClusterError, wrote: bool) -> None:
        p, now = self._p, self._p.clock()
        if failures:
            p.trigger.poke_at(now + self._backoff.fail(asked_for(*failures)), "retry")
        else:
            self._backoff.succeed()
        if wrote:
            p.trigger.poke_at(now + READ_OWN_WRITES, "settle")

    def _schedule_resync(self) -> None:
        p = self._p
        seconds = p.source.app.settings.watch.resync_seconds * p.rng.uniform(0.8, 1.2)
        p.trigger.poke_at(p.clock() + seconds, "resync")

    def _assess(self, plan: Plan) -> Verdict | None:
        mirror = self._p.converger.mirror
        desired = keyed(self._p.converger.desired)
        live = mirror.snapshot()
        rows = rows_of(desired, live, mirror.pods(), plan=plan, healed=self._healed)
        rows = tuple(replace(row, left=(*row.left, *self._fights.lines(row.key))) for row in rows)
        returns = self._carried_out and self._rollouts.judge(self._p.source.app, plan, rows)
        self._p.view.show(rows)
        if returns:
            self._p.trigger.poke("rollback")
            return None
        worst_health = worst(rows)
        if not self._carried_out:
            return None
        for row in rows:
            if row.health is worst_health:
                self.reason = f"{row.key}: {row.health.sentence}"
        if worst_health and worst_health.state == "failed":
            return "failed"
        if worst_health or plan.holds or plan.refusals:
            return None
        self.reason = self._p.converger.failure
        return "failed" if self.reason else "converged"

    def look(self) -> None:
        """Notice edits of the configuration."""
        try:
            if self._p.source.poll():
                self._p.trigger.poke("jac.toml")
        except Exception:
            # Also a mistake of ours: without this thread no later edit is noticed.
            logger.exception("configuration could not be read", extra={"action": "retry"})

    def wake(self, minutes: float) -> None:
        """Begin anew with what may have ended while the machine slept."""
        p = self._p
        self._news.append(f"resumed after {minutes:.0f} min of sleep")
        try:
            # A login may have ended. Here, not in each watch: a login plugin runs once.
            p.converger.cluster.reauthenticate()
        except ClusterError as error:
            self._news.append(str(error))
        for watch in p.watches:
            watch.wake()
        p.trigger.poke("woke")

    def renew(self) -> None:
        """Renew the lease if we hold it; try again for what a rival holds."""
        p = self._p
        if not self._lease_wanted.is_set():
            return
        had, paused = p.lease.held, self._paused
        try:
            if p.lease.acquire() != had or p.lease.rival_lives:
                p.trigger.poke("lease")
            self._paused = p.lease.paused
            if self._paused != paused:
                self._news.append(self._paused.sentence if self._paused else "no longer paused")
                p.trigger.poke("lease")
        except ClusterError as error:
            logger.debug("lease not renewed", extra={"cause": error})
        except Exception:
            # A mistake of ours: without this thread the lease would be lost for good.
            logger.exception("lease not renewed", extra={"action": "retry"})
