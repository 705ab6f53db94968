from greenroom.stages.check.injection import InjectionConfig
from greenroom.stages.check.judging import assess
from greenroom.stages.check.offense import OffenseConfig
from tests.stages.check.ordinary_talk import ORDINARY


def test_of_two_hundred_ordinary_sentences_one_in_a_hundred_is_flagged_at_most() -> None:
    flagged = [
        one
        for one in ORDINARY
        for found in [assess(one, "full")]
        if found.injection.score >= InjectionConfig().warn or found.offense.score >= OffenseConfig().warn
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
