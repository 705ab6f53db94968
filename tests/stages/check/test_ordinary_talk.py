from greenroom.stages.check.judging import assess
from tests.stages.check.ordinary_talk import ORDINARY


def test_of_two_hundred_ordinary_sentences_one_in_a_hundred_is_flagged_at_most() -> None:
    flagged = [
        one
        for one in ORDINARY
        for found in [assess(one, "full")]
        if max(found.injection.score, found.offense.score) >= 0.5
    ]

    assert len(ORDINARY) == 200
    assert len(flagged) <= 2, flagged


def test_by_rules_alone_none_is() -> None:
    flagged = [
        one
        for one in ORDINARY
        for found in [assess(one, "rules")]
        if max(found.injection.score, found.offense.score) >= 0.5
    ]

    assert flagged == []
