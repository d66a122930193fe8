"""Interleaved rounds of ours and of a peer, and what they say together."""
import dataclasses

import machine
import verdict
from program import Failed
from setting import differences, objections
from verdict import Verdict


@dataclasses.dataclass
class Row:
    """One goal, measured as far as it went."""

    ours: str
    peer: str
    at_least: float | None
    informs: bool
    remarks: list
    unit: str = "GB/s"
    # By program: the figures of each round.
    gb_per_s: dict = dataclasses.field(default_factory=dict)
    cpu_s_per_gb: dict = dataclasses.field(default_factory=dict)
    # The share of the processors that others had before each round.
    busy: list = dataclasses.field(default_factory=list)
    verdict: Verdict | None = None
    failure: str | None = None

    def note(self, name, figure):
        self.gb_per_s.setdefault(name, []).append(figure.gb_per_s)
        self.cpu_s_per_gb.setdefault(name, []).append(figure.cpu_s_per_gb)

    @property
    def was_busy(self):
        """More than a third of the rounds began on a busy machine."""
        return sum(share > machine.BUSY for share in self.busy) * 3 > len(self.busy)


def choose(goal):
    """The peers that are here, with what the table has to say of those that are not."""
    absences = [peer.absent() for peer in goal.peers]
    present = [peer for peer, absence in zip(goal.peers, absences) if absence is None]
    absent = "; ".join(sorted(set(filter(None, absences))))
    return present, [] if present else [f"no peer: {absent}"]


def measure(goal, count, seconds, keep):
    """All rounds of one goal. `keep` sees the row after each of them, so that nothing measured is lost."""
    peers, remarks = choose(goal)
    row = Row(goal.ours.name, " or ".join(peer.name for peer in peers) or "none", goal.at_least, goal.informs, remarks, goal.unit)
    try:
        # Unmeasured: it warms up, shows what ours sets, and whether a ratio may be made at all.
        asked = goal.ours.measure(1).setting
        refused = []
        for number in range(count):
            row.busy.append(machine.busy_share())
            for one in order(number, goal.ours, peers):
                figure = one.measure(seconds, asked)
                row.note("ours" if one is goal.ours else one.name, figure)
                refused += [] if one is goal.ours else objections(asked, figure.setting, goal.admitted)
                if number == 0 and one is not goal.ours:
                    row.remarks += admitted(goal, asked, figure.setting)
            keep(row)
        judge(row, peers, sorted(set(refused)))
    except Failed as error:
        row.failure = str(error)
    keep(row)
    return row


def order(number, ours, peers):
    """Who goes first changes from round to round, so that no drift favours one; a ceiling is read off ours."""
    peers_first = number % 2 == 1 and not any(getattr(peer, "is_read_off_ours", False) for peer in peers)
    return [*peers, ours] if peers_first else [ours, *peers]


def admitted(goal, asked, setting):
    found = differences(asked, setting)
    return [f"{name} differs, as the goal says: ours {found[name][0]}, the peer's {found[name][1]}" for name in goal.admitted if name in found]


def judge(row, peers, refused):
    """The verdict, or why there is none."""
    if refused:
        row.remarks.append(f"no ratio, because the settings differ: {'; '.join(refused)}")
        return
    if not peers:
        return
    best = verdict.better_of({peer.name: row.gb_per_s[peer.name] for peer in peers})
    row.peer = best
    try:
        row.verdict = verdict.judge(row.gb_per_s["ours"], row.gb_per_s[best], row.at_least or 0.0)
    except ValueError as error:
        row.remarks.append(f"no verdict: {error}")
