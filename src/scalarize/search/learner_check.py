"""The probe of a learner before a search: that seeds, weights, recipe numbers and restored states have their effect."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalarize.search import sameness
from scalarize.search.executors import states
from scalarize.search.executors.base import LearnerFactory
from scalarize.search.learner_report import LearnerReport
from scalarize.search.space import Range
from scalarize.utils.errors import DivergedError
from scalarize.utils.seeds import own_randomness
from scalarize.weights.policy import Policy

LEAN = 20.0  # weight of the first task against each other one, where weights must show
EPOCHS = 2  # of a training that goes on; the others last one epoch
ROUNDING = 1e-4  # relative; sums in another order are the same training
OTHER = 10_007  # added to the seeds of global generators, to see if a learner draws from them
NOISE = 0.1  # of what another seed changes: more than this is not rounding


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
    another training; ``epoch`` is counted, and restored; a restored learner goes on as one that was never stopped, and
    so does one that is trained in one call; weights of later epochs count; metrics are finite;
    measuring changes nothing. What acts after two epochs, such as a schedule's later steps, is not seen.

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
    the learner is as a search needs it (14 epochs trained)
    """
    trial = _Trial(
        learner_factory, split, {key: Range.parse(r) if isinstance(r, str) else r for key, r in (also or {}).items()}
    )
    try:
        trial.first()
        if not trial.lines:  # what follows builds on it
            trial.effects()
            trial.continued()
            trial.calls()
            trial.numbers()
    except (DivergedError, FloatingPointError) as error:
        trial.say(True, f"a training with even weights diverged: {error}")
    report = LearnerReport(tuple(trial.lines), trial.trainings)
    if strict:
        report.require()
    return report


@dataclass(frozen=True)
class _Seen:
    """A learner after some epochs: its state and metrics."""

    state: dict[str, Any]
    metrics: dict[str, Any]


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
        lean, flat = [LEAN, *[1.0] * (len(self.tasks) - 1)], [1.0] * len(self.tasks)
        self.leaning = Policy.from_schedule(self.tasks, [(0, lean)], EPOCHS)
        self.later = Policy.from_schedule(self.tasks, [(0, flat), (1, lean)], EPOCHS)

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
        streams: int = 0,
        calls: Sequence[int] = (),
    ) -> _Seen:
        """Train a fresh learner, epoch by epoch or in ``calls``, or go on from the first epoch of another one.

        ``streams`` moves the seeds of global generators, which otherwise follow the seed and the epoch.
        """
        with own_randomness(seed + streams):
            learner = self.make(seed=seed, **(self.middle | dict(numbers or {})))
            if donor is not None:
                learner.load_state_dict(sameness.copied(donor.state))
                self.say(learner.epoch != 1, f"epoch is {learner.epoch} after load_state_dict of a state of epoch 1")
        for epoch in calls or range(1 if donor is None else 2, epochs + 1):
            with own_randomness(seed + streams + epoch):
                learner.train(policy or self.even, epoch)
            wrong = learner.epoch != epoch
            self.say(wrong, f"epoch is {learner.epoch} after train(policy, {epoch}): it must count finished epochs")
        self.trainings += epochs if donor is None else epochs - 1
        with own_randomness(seed):
            state = sameness.copied(states.check(learner.state_dict()))
            metrics = self.measured(learner.evaluate(self.split))
            changed = sameness.difference(state, learner.state_dict(), ROUNDING)
            self.say(changed is not None, f"evaluate({self.split!r}) changes the learner's state, at {changed}")
        return _Seen(state, metrics)

    def measured(self, found: Any) -> dict[str, Any]:
        """Return metrics as numbers, and say what is wrong with them."""
        if not isinstance(found, Mapping):
            self.say(True, f"evaluate({self.split!r}) returns {type(found).__name__}, not {{task: number}}")
            return {}
        for task in self.tasks:
            value = found.get(task)
            if value is None:
                self.say(True, f"evaluate({self.split!r}) gives no metric of {task}")
                continue
            try:
                wrong = not math.isfinite(float(value))
            except (TypeError, ValueError):
                wrong = True
            self.say(
                wrong, f"evaluate({self.split!r}) gives {task} the metric {value!r:.40}, which is no finite number"
            )
        return {task: found.get(task) for task in self.tasks}

    def first(self) -> None:
        """Train one epoch, twice with one seed and once with another: the counts and metrics, and the same again."""
        self.seen, again, self.other = self.train(1), self.train(1), self.train(2)
        self.noise, most = (sameness.gap(self.seen.state, x.state) for x in (again, self.other))
        self.say(
            self.noise > NOISE * most or math.isinf(self.noise), "two trainings with the same seed end differently"
        )
        unlike = sameness.difference(self.seen.metrics, again.metrics, ROUNDING) is not None
        self.say(self.noise == 0 and unlike, "two trainings with the same seed are measured differently")
        with own_randomness(1):
            fresh = self.make(seed=1, **self.middle).state_dict()
        idle = sameness.difference({**fresh, "epoch": 1}, {**self.seen.state, "epoch": 1}) is None
        self.say(idle, "state_dict() is the same before and after an epoch of training")

    def effects(self) -> None:
        """Compare trainings with another seed, and with other weights; what shows in the second epoch counts, too."""
        self.whole = self.train(1, EPOCHS)
        self.say(self.equal(self.seen, self.other), "another seed makes no difference: pass it to all that is random")
        self.leaned = self.train(1, policy=self.leaning)
        if len(self.tasks) > 1:
            later = self.equal(self.whole, self.train(1, EPOCHS, policy=self.later))
            both = later and self.equal(self.seen, self.leaned)
            self.say(both, "the weights of the policy make no difference")
            self.say(later and not both, "weights of later epochs make no difference: ask for weights_at(epoch)")

    def continued(self) -> None:
        """Go on from a saved state: with its own seed, with another one, and from the state of other weights."""
        parts, clone = (self.train(seed, EPOCHS, donor=self.seen) for seed in (1, 2))
        apart = self.apart(self.whole, parts)
        self.say(
            apart is not None,
            "a learner that goes on from a saved state ends elsewhere than one that was never stopped, at "
            f"{apart}: keep all that training depends on in state_dict, and draw from the seed and the epoch",
        )
        alike = not self.equal(self.seen, self.other) and self.equal(parts, clone)
        self.say(alike, "a clone with another seed goes on like its donor: keep no seed or generator in state_dict")
        anew = not self.equal(self.seen, self.leaned) and self.equal(parts, self.train(1, EPOCHS, donor=self.leaned))
        self.say(anew, "training begins anew in each call of train: it does not depend on the state before")

    def calls(self) -> None:
        """Train two epochs in one call."""
        with_one = self.train(1, EPOCHS, calls=[EPOCHS], streams=1 - EPOCHS)  # as if it was the first epoch
        short = sameness.difference({**with_one.state, "epoch": 1}, {**self.seen.state, "epoch": 1}) is None
        self.say(short, "train(policy, 2) trains no further than train(policy, 1): it must go on until that epoch")
        own = sameness.difference(self.seen.state, self.train(1, streams=OTHER).state) is None
        apart = self.apart(self.whole, with_one) if own and not short else None  # else global generators are elsewhere
        self.say(
            apart is not None and sameness.difference(self.whole.metrics, with_one.metrics, ROUNDING) is not None,
            f"train(policy, 2) ends elsewhere than train(policy, 1) and train(policy, 2) after it, at {apart}: a call "
            "must go on where the one before ended, until that epoch from the beginning",
        )

    def numbers(self) -> None:
        """Train with another value of each recipe number, from the beginning and from a donor's state."""
        for key, wanted in self.ranges.items():
            low, high = ({key: value} for value in (wanted.low, wanted.high))
            swapped = wanted.low, wanted.high
            try:
                donor, high_too = self.train(1, numbers=low), self.train(1, numbers=high)
                if self.equal(donor, high_too, swapped):
                    later = [self.train(1, EPOCHS, numbers=value) for value in (low, high)]
                    alike = self.equal(later[0], later[1], swapped)
                    self.say(alike, f"{key} makes no difference: {wanted.low:g} and {wanted.high:g} train alike")
                    if alike:
                        continue
                ends = [self.train(1, EPOCHS, numbers=value, donor=donor) for value in (low, high)]
            except (DivergedError, FloatingPointError):
                continue  # a search counts it as a bad value
            alike = self.equal(ends[0], ends[1], swapped)
            self.say(alike, f"after load_state_dict the donor's {key} holds, not the learner's own")

    def equal(self, a: _Seen, b: _Seen, swapped: tuple[float, float] = (1, 2)) -> bool:
        """Return True if two trainings ended exactly alike, save for seeds or numbers that a state keeps."""
        return a.metrics == b.metrics and sameness.difference(a.state, b.state, 0.0, swapped) is None

    def apart(self, a: _Seen, b: _Seen) -> str | None:
        """Return where two trainings that should be the same differ, by more than rounding."""
        close = self.noise > 0 and sameness.gap(a.state, b.state) <= 10 * self.noise
        return None if close else sameness.difference(a.state, b.state, ROUNDING)
