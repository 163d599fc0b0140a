"""A page of several studies: what was scaled reads as sentences."""

from __future__ import annotations

from scalarize.report import markdown

RESULT = {"question": "What?", "command": "scalarize x", "findings": [], "tables": [], "runs": 1, "seconds_runs": 1.0}


def test_what_was_scaled_is_one_sentence_and_those_that_are_sentences_already():
    scaled = ["t/x: runs: 4 -> 2", "t/x: Rates are chosen on validation.", "t/x: epochs: 9 -> 1"]
    page = markdown.document(["# Head"], [RESULT | {"illustration": False, "scaled": scaled}], lambda kind, frame: None)
    assert "\nScaled: runs: 4 -> 2; epochs: 9 -> 1. Rates are chosen on validation.\n" in page
    only = RESULT | {"illustration": False, "scaled": scaled[1:2]}
    assert "\nScaled: Rates are chosen on validation.\n" in markdown.document([], [only], lambda kind, frame: None)
