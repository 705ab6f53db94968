"""Whether a number, a date or a time is the same in a claim and in its source."""

from math import floor, isclose, log10

from greenroom.stages.postprocess.dates import Moment
from greenroom.stages.postprocess.numerals import Quantity

_MONTH = 2_629_800
"""Seconds."""
_MONEY = {"usd", "eur", "brl", "gbp", "mxn"}


def same(claim: Quantity, source: Quantity) -> bool:
    """Whether a source bears a number out: equal, rounded as the claim writes it, or about that much."""
    if claim.period and (source.period or source.unit == "s"):  # "three times a day", "every eight hours"
        return isclose(claim.period, source.period or source.values[0], rel_tol=0.05)
    if source.period and claim.unit == "s":
        return isclose(source.period, claim.values[0], rel_tol=0.05)
    if claim.raw and claim.raw == source.raw and claim.unit == source.unit and claim.factor != source.factor:
        return False  # "1.180 km" is not "1.180 m", whatever its point means
    if claim.unit and source.unit and claim.unit != source.unit:
        if "¢" in {claim.unit, source.unit} and {claim.unit, source.unit} & _MONEY:
            mine, theirs = (one.values[0] * (0.01 if one.unit == "¢" else 1) for one in (claim, source))
            return isclose(mine, theirs, rel_tol=1e-6)
        if {claim.unit, source.unit} == {"g", "gbp"}:  # pounds weigh, and pay
            return any(
                isclose(one / claim.factor, two / source.factor)
                for one in claim.values
                for two in source.values
            )
        if {claim.unit, source.unit} != {"c", "f"}:
            return False
        factor, offset = (1.8, 32.0) if source.unit == "c" else (1 / 1.8, -32 / 1.8)
        source = source._replace(values=tuple(one * factor + offset for one in source.values), slack=0.02)
    elif bool(claim.unit) != bool(source.unit):
        if "%" in {claim.unit, source.unit}:
            return False
        # one of them has its unit elsewhere ("25 paid days"): the bare numbers count
        bare = [one / source.factor for one in source.values]
        return any(isclose(one / claim.factor, two, rel_tol=1e-9) for one in claim.values for two in bare)
    pairs = [(one, two) for one in claim.values for two in source.values]
    return any(_near(one, two, claim, source) for one, two in pairs)


def _near(one: float, two: float, claim: Quantity, source: Quantity) -> bool:
    if isclose(one, two, rel_tol=1e-9):
        return claim.bound * source.bound >= 0  # "less than 60" is not "more than 60"
    if claim.bound and one and two and (two - one) * claim.bound > 0 and claim.digits < 3:
        return abs(two - one) <= 0.25 * abs(two)
    slack = max(claim.slack, source.slack)
    if not two or (1000 <= one < 2200 and not claim.unit and not claim.is_word and one == int(one)):
        return bool(slack and one % 5 == 0 and abs(one - two) < 3)  # it may be a year
    if claim.digits < 2:
        slack *= 1.7  # "nearly fifty"
    if slack and abs(one - two) <= slack * abs(two) and claim.digits < max(source.digits, 3):
        return True
    if claim.unit and claim.unit not in {"%", "usd", "eur", "brl"} and isclose(one, two, rel_tol=0.006):
        return True
    if claim.unit == "s" and max(claim.factor, source.factor) >= _MONTH and isclose(one, two, rel_tol=0.03):
        return claim.factor != source.factor  # a month is 30 days, a year 52 weeks
    if claim.digits < 2 and not claim.unit:
        return False
    if source.digits <= claim.digits:
        return False
    size = floor(log10(abs(two))) - claim.digits + 1
    return isclose(one, round(two / 10**size) * 10**size, rel_tol=1e-6)


def bears_out(claim: Moment, sources: list[Moment], years: set[int]) -> bool:
    """Whether sources hold a date: each part of it, the day with its month."""
    if claim.span > 1:
        assert claim.year is not None
        last = claim.year + claim.span
        return any(claim.year <= year < last for year in years) or any(
            one.year is not None and one.year < last and claim.year < one.year + one.span for one in sources
        )
    if claim.year is not None and claim.year not in years:
        return False
    if claim.month is None:
        return True
    for one in sources:
        if (one.month, one.day) == (claim.month, claim.day) or (
            claim.day is None and one.month == claim.month
        ):
            if claim.year is None or one.year == claim.year:
                return True
            # a month of any year, unless that year comes with another month
            if one.year is None and not any(
                other.year == claim.year and other.month not in {None, claim.month} for other in sources
            ):
                return True
        if claim.day is not None and claim.other is not None and (one.month, one.day) == claim.other:
            return True
        if one.other is not None and one.other == (claim.month, claim.day):
            return True
    return False


def same_clock(one: int, two: int) -> bool:
    """Whether two minutes of the day are the same, morning and evening not told apart below noon."""
    return one == two or (one < 720 and two - 720 == one) or (two < 720 and one - 720 == two)
