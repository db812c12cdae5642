#!/usr/bin/env python3
"""The counter is itself counted on: what it makes of each kind of output."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tally import SKIPPED, count_cases  # noqa: E402


def counted(text, code):
    count = count_cases("t", text, code)
    return count.passed, count.failed, len(count.skips)


DOCTEST = "[doctest] test cases:  5 | {} passed | {} failed | {} skipped\n[doctest] assertions: 9 | 9 passed | 0 failed |\n"


class Tally(unittest.TestCase):
    def test_doctest_cases_are_counted_one_by_one(self):
        self.assertEqual(counted(DOCTEST.format(5, 0, 0), 0), (5, 0, 0))
        self.assertEqual(counted(DOCTEST.format(3, 2, 0), 1), (3, 2, 0))

    def test_a_doctest_case_that_is_decorated_away_is_skipped_not_passed(self):
        self.assertEqual(counted(DOCTEST.format(3, 0, 2), 0), (3, 0, 2))

    def test_a_sanitizer_report_after_a_clean_summary_is_a_failure(self):
        self.assertEqual(counted(DOCTEST.format(5, 0, 0) + "ERROR: LeakSanitizer", 1), (5, 1, 0))

    def test_tap_lines_are_counted_and_skips_keep_their_reason(self):
        text = "ok one\nnot ok two\nok three # skipped: needs root\n"
        self.assertEqual(counted(text, 1), (1, 1, 1))
        self.assertEqual(count_cases("t", text, 1).skips, ["t: three: needs root"])

    def test_unittest_summary_is_counted_with_its_skips(self):
        text = "test_x (a.B) ... skipped 'no validator'\n\nRan 4 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n"
        self.assertEqual(counted(text, 1), (1, 2, 1))
        self.assertEqual(counted("Ran 3 tests in 0.1s\n\nOK\n", 0), (3, 0, 0))

    def test_a_crash_before_any_summary_is_one_failure(self):
        self.assertEqual(counted("", -11), (0, 1, 0))

    def test_a_time_out_is_a_failure_even_if_all_said_so_far_was_fine(self):
        self.assertEqual(counted("ok one\n", None), (1, 1, 0))

    def test_a_silent_success_is_one_pass(self):
        self.assertEqual(counted("whatever\n", 0), (1, 0, 0))

    def test_a_whole_test_that_cannot_run_is_one_skip_with_its_last_line_as_reason(self):
        self.assertEqual(count_cases("t", "x\nskipped: needs root\n", SKIPPED).skips, ["t: skipped: needs root"])


if __name__ == "__main__":
    unittest.main()
