"""Known answers for the statistics and for what may be compared."""
import dataclasses
import itertools
import statistics
import unittest

import setting
import verdict
from setting import Setting

SETTING = Setting("request", 1, "read", "one-way", "one-sided", 8192, 32768, 1.0, 1 << 30, 1, 1)


class LowerBound(unittest.TestCase):
    def test_it_is_the_quantile_of_all_resamples(self):
        """Every resample of five values, counted one by one."""
        values = [3.0, 1.0, 4.0, 1.5, 9.0]
        medians = sorted(statistics.median(draw) for draw in itertools.product(values, repeat=5))
        for tail in (0.01, 0.05, 0.2, 0.5, 0.9):
            counted = medians[max(0, -(-int(tail * len(medians) * 1000) // 1000) - 1)]
            self.assertEqual(verdict.lower_bound(values, tail), counted, tail)

    def test_of_nine_values_it_is_the_third_smallest(self):
        """P(median <= 2nd) = 0.0304 and P(median <= 3rd) = 0.1448: binomial tables."""
        self.assertAlmostEqual(verdict.at_least(5, 9, 2 / 9), 0.0304, places=4)
        self.assertAlmostEqual(verdict.at_least(5, 9, 3 / 9), 0.1448, places=4)
        self.assertEqual(verdict.lower_bound([9, 8, 7, 6, 5, 4, 3, 2, 1]), 3)

    def test_equal_values_leave_no_doubt_and_even_numbers_are_refused(self):
        self.assertEqual(verdict.lower_bound([2.0] * 9), 2.0)
        with self.assertRaisesRegex(ValueError, "odd"):
            verdict.lower_bound([1.0] * 10)


class Judging(unittest.TestCase):
    def test_ratios_are_paired_within_rounds(self):
        """The machine slows down fourfold in the middle; paired ratios do not see it, medians apart would."""
        ours = [6.0, 6.0, 6.0, 1.5, 1.5, 1.5, 1.5, 6.0, 6.0]
        peers = [3.0, 3.0, 3.0, 0.75, 0.75, 0.75, 0.75, 3.0, 3.0]
        found = verdict.judge(ours, peers, 2.0)
        self.assertEqual((found.median, found.lower_bound, found.is_met), (2.0, 2.0, True))
        self.assertFalse(verdict.judge(ours, peers, 2.01).is_met)

    def test_a_median_above_the_goal_is_not_enough(self):
        ours = [1.0, 1.1, 1.2, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5]
        found = verdict.judge(ours, [1.0] * 9, 2.0)
        self.assertEqual((found.median, found.lower_bound, found.is_met), (3.1, 1.2, False))

    def test_too_few_unpaired_and_failed_rounds_are_refused(self):
        for ours, peers, part in (
            ([1.0] * 8, [1.0] * 8, "at least 9"),
            ([1.0] * 9, [1.0] * 8, "pairs"),
            ([1.0] * 8 + [0.0], [1.0] * 9, "positive"),
            ([1.0] * 9, [1.0] * 8 + [float("nan")], "positive"),
        ):
            with self.assertRaisesRegex(ValueError, part):
                verdict.judge(ours, peers, 1.0)

    def test_the_better_mode_has_the_higher_median(self):
        self.assertEqual(verdict.better_of({"spin": [1, 9, 2], "sread": [3, 3, 3]}), "sread")


class Comparing(unittest.TestCase):
    def test_equal_settings_raise_no_objection(self):
        self.assertEqual(setting.objections(SETTING, dataclasses.replace(SETTING)), [])

    def test_each_field_is_compared(self):
        others = {"operation": "write", "direction": "both-ways", "mode": "steady", "semantics": "receiver-assisted",
                  "memory": "gpu", "fragmentation": 0.0}
        for field in dataclasses.fields(Setting):
            other = others.get(field.name, getattr(SETTING, field.name) if field.name in others else None)
            if other is None:
                other = getattr(SETTING, field.name) + 1
            found = setting.objections(SETTING, dataclasses.replace(SETTING, **{field.name: other}))
            self.assertEqual(len(found), 1, field.name)
            self.assertTrue(found[0].startswith(f"{field.name}: ours"), found)

    def test_an_admitted_difference_passes_and_one_that_is_not_there_is_refused(self):
        packed = dataclasses.replace(SETTING, semantics="receiver-assisted")
        self.assertEqual(setting.objections(packed, SETTING, ("semantics",)), [])
        self.assertEqual(len(setting.objections(packed, SETTING, ("q",))), 2)


if __name__ == "__main__":
    unittest.main()
