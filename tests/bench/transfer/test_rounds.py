"""Rounds with programs that only pretend, and the readers of what real ones write."""
import dataclasses
import unittest
from types import SimpleNamespace

import peers
import rounds
import table
from peers import Figure
from program import Failed, run
from test_verdict import SETTING


class Pretended:
    """A program with given figures; a figure that is an exception is a failed run."""

    def __init__(self, name, figures, setting=SETTING, absence=None, calls=None):
        self.name, self.figures, self.setting, self.absence = name, figures, setting, absence
        self.count, self.calls = 0, calls if calls is not None else []

    def absent(self):
        return self.absence

    def measure(self, _seconds, _asked=None):
        self.calls.append(self.name)
        figure = self.figures[self.count % len(self.figures)]
        self.count += 1
        if isinstance(figure, Exception):
            raise figure
        return Figure(figure, self.setting, 0.1)


def goal(ours, *others, **fields):
    defaults = {"at_least": 2.0, "admitted": (), "informs": False, "unit": "GB/s"}
    return SimpleNamespace(ours=ours, peers=others, **{**defaults, **fields})


def measured(the_goal, count=9):
    kept = []
    row = rounds.measure(the_goal, count, 1, lambda row: kept.append(dataclasses.asdict(row)))
    return row, kept


class Rounds(unittest.TestCase):
    def setUp(self):
        waiting, rounds.machine.busy_share = rounds.machine.busy_share, lambda: 0.5
        self.addCleanup(setattr, rounds.machine, "busy_share", waiting)

    def test_they_interleave_and_the_first_changes(self):
        calls = []
        row, kept = measured(goal(Pretended("a", [4.0], calls=calls), Pretended("b", [1.0], calls=calls)))
        # The first one is the warm-up.
        self.assertEqual(calls, ["a"] + ["a", "b", "b", "a"] * 4 + ["a", "b"])
        self.assertEqual((row.verdict.median, row.verdict.is_met, len(kept)), (4.0, True, 10))
        self.assertTrue(row.was_busy)

    def test_the_better_mode_of_a_peer_counts(self):
        row, _ = measured(goal(Pretended("ours", [4.0]), Pretended("spin", [1.0]), Pretended("sread", [3.0])))
        self.assertEqual((row.peer, row.verdict.is_met), ("sread", False))

    def test_unequal_settings_give_no_ratio(self):
        other = dataclasses.replace(SETTING, q=64, working_set_bytes=1)
        row, _ = measured(goal(Pretended("ours", [4.0]), Pretended("peer", [1.0], other)))
        self.assertIsNone(row.verdict)
        self.assertIn("q: ours 1, the peer's 64", row.remarks[-1])
        self.assertIn("working_set_bytes", row.remarks[-1])

    def test_an_admitted_difference_is_told(self):
        packed = dataclasses.replace(SETTING, semantics="receiver-assisted")
        row, _ = measured(goal(Pretended("ours", [4.0], packed), Pretended("peer", [1.0]), admitted=("semantics",)))
        self.assertTrue(row.verdict.is_met)
        self.assertIn("semantics differs, as the goal says", row.remarks[0])

    def test_an_absent_peer_is_named(self):
        gone = Pretended("fi_rma_bw", [1.0], absence="PATH has no fi_rma_bw")
        row, _ = measured(goal(Pretended("ours", [4.0]), gone))
        self.assertEqual((row.verdict, row.remarks), (None, ["no peer: PATH has no fi_rma_bw"]))

    def test_a_failed_round_keeps_the_others_and_gives_no_verdict(self):
        row, kept = measured(goal(Pretended("ours", [4.0] * 4 + [Failed("it broke")]), Pretended("peer", [1.0])))
        self.assertEqual((row.failure, row.verdict), ("it broke", None))
        self.assertEqual(kept[-1]["gb_per_s"]["ours"], [4.0] * 3)

    def test_too_few_rounds_give_no_verdict(self):
        row, _ = measured(goal(Pretended("ours", [4.0]), Pretended("peer", [1.0])), count=3)
        self.assertEqual((row.verdict, row.failure), (None, None))
        self.assertIn("at least 9", row.remarks[0])

    def test_the_table_says_it_all_in_a_hundred_columns(self):
        gone = Pretended("fi_rma_bw", [1.0], absence="PATH has no fi_rma_bw")
        rows = [
            measured(goal(Pretended("builtin-tcp write 256 KiB, windows", [4.0]), Pretended("fi_rma_bw tcp sread", [1.0])))[0],
            measured(goal(Pretended("tcp", [4.0]), gone))[0],
            measured(goal(Pretended("shm", [Failed("no shm")]), Pretended("peer", [1.0])))[0],
        ]
        text = table.render(rows, "a machine", 9, 2)
        for part in ("met, busy", "no verdict", "failed", "PATH has no fi_rma_bw", "no shm", "busy machine", "50%"):
            self.assertIn(part, text)
        self.assertLessEqual(max(map(len, text.splitlines()[:4])), 110, text)


class Readers(unittest.TestCase):
    CASE = {
        "mode": "request", "q": 1, "operation": "read", "semantics": "one-sided", "descriptor_bytes": 8192,
        "descriptors": 32768, "fragmentation": 1.0, "working_set_bytes": 1 << 30, "threads_initiator": 1,
        "threads_target": 1, "memory": "host", "ended": "complete", "verified": True, "failure": None,
        "gb_per_s": 5.0, "initiator_cpu_s_per_gb": 0.125, "target_cpu_s_per_gb": 0.25,
    }

    def test_a_case_of_ours(self):
        self.assertEqual(peers.case_figure(self.CASE), Figure(5.0, SETTING, 0.375))
        for wrong in ({"ended": "partial"}, {"verified": False}):
            with self.assertRaises(Failed):
                peers.case_figure({**self.CASE, **wrong})

    def test_the_table_of_fabtests(self):
        text = (
            "bytes   iters   total       time     MB/sec    usec/xfer   Mxfers/sec\n"
            "256k    2k      512m        0.11s   4766.25      55.00       0.02\n")
        self.assertEqual(peers.fabtests_rate(text), 4.76625)
        with self.assertRaisesRegex(Failed, "MB/sec"):
            peers.fabtests_rate("fi_getinfo(): -61 (No data available)")

    def test_a_report_of_iperf3(self):
        report = {"end": {
            "sum_received": {"bits_per_second": 2.4e10, "bytes": 6e9, "seconds": 2.0},
            "cpu_utilization_percent": {"host_total": 40.0, "remote_total": 60.0}}}
        figure = peers.iperf3_figure(report)
        self.assertAlmostEqual(figure.gb_per_s, 3.0)
        self.assertAlmostEqual(figure.cpu_s_per_gb, 2.0 / 6.0)

    def test_a_pair_of_nixl(self):
        plan = {"descriptor_bytes": 8192, "descriptors": 32768, "pool_blocks": 131072, "operation": "read"}
        out = {"request_s": [0.5, 0.25, 0.125], "verified": 4 * 32768, "requests": 4, "initiator_cpu_s": 0.5, "target_cpu_s": 0.25}
        figure = peers.Nixl.figure(plan, out)
        self.assertEqual(figure.setting, SETTING)
        self.assertAlmostEqual(figure.gb_per_s, 268_435_456 / 0.25 / 1e9)
        with self.assertRaisesRegex(Failed, "right blocks"):
            peers.Nixl.figure(plan, {**out, "verified": 4 * 32768 - 1})

    def test_a_stand_in_is_absent_where_the_peer_is_here(self):
        gone, here = Pretended("fi_rma_bw spin", [1.0], absence="none"), Pretended("fi_rma_bw sread", [1.0])
        self.assertIsNone(peers.StopGo("bench", (), (gone,)).absent())
        self.assertEqual(peers.StopGo("bench", (), (gone, here)).absent(), "fi_rma_bw sread is here")

    def test_a_cost_is_held_against_its_allowance(self):
        self.assertEqual(peers.Allowance(200).measure(1, SETTING), Figure(5.0, SETTING))

    def test_a_program_that_fails_or_hangs_gives_its_words(self):
        with self.assertRaisesRegex(Failed, "ended with 3 and said: no device"):
            run(["sh", "-c", "echo no device >&2; exit 3"])
        with self.assertRaisesRegex(Failed, "did not end within 1 s"):
            run(["sleep", "600"], seconds=1)


if __name__ == "__main__":
    unittest.main()
