"""From paired rounds to a verdict. Pure: no clock, no random number.

A ratio is made within a round, where both ran one after the other on the same machine. The verdict is the median of the
ratios; a goal is met when even the lower bound of that median reaches it.
"""
import dataclasses
import math
import statistics

# Below this, the median of ratios says too little.
LEAST_ROUNDS = 9
# The chance that the true median lies below the bound.
TAIL = 0.05


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the rounds say of one goal."""

    ratios: tuple
    median: float
    lower_bound: float
    goal: float

    @property
    def is_met(self):
        return self.lower_bound >= self.goal


def judge(ours, peers, goal):
    """The verdict over paired figures of equal length, larger being better."""
    if len(ours) != len(peers):
        raise ValueError(f"found {len(ours)} figures of ours and {len(peers)} of the peer, expected pairs")
    if len(ours) < LEAST_ROUNDS:
        raise ValueError(f"found {len(ours)} rounds, expected at least {LEAST_ROUNDS}")
    if any(not math.isfinite(figure) or figure <= 0 for figure in (*ours, *peers)):
        raise ValueError("found a figure that is no positive number; a failed round gives no ratio")
    ratios = tuple(our / peer for our, peer in zip(ours, peers))
    return Verdict(ratios, statistics.median(ratios), lower_bound(ratios), goal)


def lower_bound(values, tail=TAIL):
    """The `tail` quantile of the bootstrap distribution of the median.

    For an odd number of values the distribution is known without drawing: the median of a resample is at most the k-th
    smallest value exactly when more than half of the draws fall among the k smallest, each with probability k / n.
    """
    count = len(values)
    if count % 2 == 0:
        raise ValueError(f"found {count} values, expected an odd number: their median is one of them")
    for rank, value in enumerate(sorted(values), start=1):
        if at_least(count // 2 + 1, count, rank / count) >= tail:
            return value
    raise AssertionError("the whole distribution lies below its largest value")


def at_least(least, count, probability):
    """The chance of `least` or more successes in `count` draws."""
    return sum(
        math.comb(count, hits) * probability**hits * (1 - probability) ** (count - hits)
        for hits in range(least, count + 1)
    )


def better_of(modes):
    """Of a peer's modes, by name, the one with the highest median: what its user would choose."""
    return max(modes, key=lambda name: statistics.median(modes[name]))
