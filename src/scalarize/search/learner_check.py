"""The probe of a learner before a search: that seeds, weights, recipe numbers and restored states have their effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalarize.search.executors import states
from scalarize.search.executors.base import LearnerFactory
from scalarize.search.space import Range
from scalarize.utils.errors import RunError
from scalarize.utils.seeds import own_randomness
from scalarize.weights.policy import Policy

LEAN = 20.0  # weight of the first task against each other one, where weights must show
EPOCHS = 2  # of a training that goes on; the others last one epoch


@dataclass(frozen=True)
class LearnerReport:
    """The result of a probe.

    Attributes:
        lines: one per promise of a learner that is not kept.
        trainings: epochs that were trained for it, over all learners.
    """

    lines: tuple[str, ...]
    trainings: int

    @property
    def ok(self) -> bool:
        """True if all promises are kept."""
        return not self.lines

    def require(self) -> None:
        """Raise RunError with the promises that are not kept, if there are any."""
        if self.lines:
            raise RunError("a search would be wrong with this learner: " + "; ".join(self.lines))

    def __str__(self) -> str:
        return (
            f"the learner is as a search needs it ({self.trainings} epochs trained)"
            if self.ok
            else "\n".join(self.lines)
        )


def check(
    learner_factory: LearnerFactory,
    *,
    also: Mapping[str, Range | str] | None = None,
    split: str = "validation",
    strict: bool = False,
) -> LearnerReport:
    """Check that a learner keeps what :class:`~scalarize.learners.base.Learner` promises, by a few short trainings.

    A search cannot see that a training ignores its weights, or begins again after ``load_state_dict``: it ends with a
    policy all the same. Looked at: same seed, same training; another seed, other weights or another recipe number,
    another training; ``epoch`` is counted, and restored; a restored learner goes on as one that was never stopped;
    measuring changes nothing.

    Args:
        learner_factory: as for :func:`scalarize.search.search`.
        also: recipe numbers that will be searched, as there. Default: none.
        split: split that is measured. Default ``validation``.
        strict: raise in place of reporting. Default False.

    Returns:
        The report: ``ok``, and ``lines`` that say what is wrong.

    Raises:
        RunError: ``strict``, and something is wrong.
        RequestError: the learner's state cannot be read back.

    >>> from scalarize.search.toy_problems import Noisy
    >>> print(check(Noisy))
    the learner is as a search needs it (8 epochs trained)
    """
    trial = _Trial(
        learner_factory, split, {key: Range.parse(r) if isinstance(r, str) else r for key, r in (also or {}).items()}
    )
    trial.first()
    if not trial.lines:  # what follows builds on it
        trial.effects()
        trial.continued()
        trial.numbers()
    report = LearnerReport(tuple(trial.lines), trial.trainings)
    if strict:
        report.require()
    return report


@dataclass(frozen=True)
class _Seen:
    """A learner after some epochs: its state and metrics."""

    epoch: Any
    state: dict[str, Any]
    metrics: Mapping[str, Any]


class _Trial:
    """The trainings of a probe, and the lines found so far."""

    def __init__(self, make: LearnerFactory, split: str, ranges: Mapping[str, Range]) -> None:
        self.make, self.split, self.ranges = make, split, ranges
        self.middle = {key: r.middle for key, r in ranges.items()}
        self.lines: list[str] = []
        self.trainings = 0
        with own_randomness(0):
            self.tasks = tuple(make(seed=0, **self.middle).tasks)
        self.even = Policy.constant(dict.fromkeys(self.tasks, 1.0), EPOCHS)

    def say(self, wrong: bool, line: str) -> None:
        if wrong and line not in self.lines:
            self.lines.append(line)

    def train(
        self,
        seed: int,
        epochs: int = 1,
        policy: Policy | None = None,
        numbers: Mapping[str, float] | None = None,
        donor: _Seen | None = None,
    ) -> _Seen:
        """Train a fresh learner, epoch by epoch, or go on from the state of another one."""
        with own_randomness(seed):
            learner = self.make(seed=seed, **(self.middle | dict(numbers or {})))
            if donor is not None:
                learner.load_state_dict(states.copied(donor.state))
                begun = learner.epoch
                self.say(
                    begun != donor.epoch, f"epoch is {begun} after load_state_dict of a state of epoch {donor.epoch}"
                )
        for epoch in range(1 if donor is None else donor.epoch + 1, epochs + 1):
            with own_randomness(seed + epoch):  # so that learners that draw from global generators go on alike
                learner.train(policy or self.even, epoch)
            self.trainings += 1
        with own_randomness(seed):
            state = states.copied(states.check(learner.state_dict()))
            seen = _Seen(learner.epoch, state, learner.evaluate(self.split))
            changed = not states.same(state, learner.state_dict(), exactly=True)
            self.say(changed, f"evaluate({self.split!r}) changes the learner's state")
        return seen

    def first(self) -> None:
        """Train one epoch, twice: the counts and metrics, and the same again."""
        with own_randomness(1):
            fresh = states.copied(states.check(self.make(seed=1, **self.middle).state_dict()))
        self.seen = seen = self.train(1)
        self.say(seen.epoch != 1, f"epoch is {seen.epoch} after train(policy, 1): it must count finished epochs")
        missing = [task for task in self.tasks if task not in seen.metrics]
        self.say(bool(missing), f"evaluate({self.split!r}) gives no metric of {', '.join(missing)}")
        self.say(
            states.same(fresh, seen.state, but=("epoch",)),
            "state_dict() is the same before and after an epoch of training",
        )
        again = self.train(1)
        self.say(not states.same(seen.state, again.state), "two trainings with the same seed end differently")
        self.say(
            not states.same(dict(seen.metrics), dict(again.metrics)),
            "two trainings with the same seed are measured differently",
        )

    def effects(self) -> None:
        """Train with another seed, and with other weights."""
        self.other = self.train(2)
        self.say(self.equal(self.other), "another seed makes no difference: pass it to all that is random")
        if len(self.tasks) > 1:
            leaning = Policy.constant({t: LEAN if k == 0 else 1.0 for k, t in enumerate(self.tasks)}, EPOCHS)
            self.say(self.equal(self.train(1, policy=leaning)), "the weights of the policy make no difference")

    def continued(self) -> None:
        """Go on from a saved state, beside a learner that was never stopped, and from another state."""
        whole, parts = self.train(1, EPOCHS), self.train(1, EPOCHS, donor=self.seen)
        self.say(
            not (states.same(whole.state, parts.state) and states.same(dict(whole.metrics), dict(parts.metrics))),
            "a learner that goes on from a saved state ends elsewhere than one that was never stopped: keep all that "
            "training depends on in state_dict, and draw from the seed and the epoch",
        )
        elsewhere = self.train(1, EPOCHS, donor=self.other)
        anew = not self.equal(self.other) and states.same(elsewhere.state, parts.state, exactly=True)
        self.say(anew, "training begins anew in each call of train: it does not depend on the state before")

    def numbers(self) -> None:
        """Train with another value of each recipe number, from the beginning and from a donor's state."""
        for key, wanted in self.ranges.items():
            low, high = {key: wanted.low}, {key: wanted.high}
            donor = self.train(1, numbers=low)
            if states.same(donor.state, self.train(1, numbers=high).state, exactly=True):
                self.say(True, f"{key} makes no difference: {wanted.low:g} and {wanted.high:g} train alike")
                continue
            ends = [self.train(1, EPOCHS, numbers=value, donor=donor) for value in (low, high)]
            alike = states.same(ends[0].state, ends[1].state, exactly=True)
            self.say(alike, f"after load_state_dict the donor's {key} holds, not the learner's own")

    def equal(self, other: _Seen) -> bool:
        """Return True if a training ended exactly like the first one."""
        return states.same(self.seen.state, other.state, exactly=True) and dict(self.seen.metrics) == dict(
            other.metrics
        )
