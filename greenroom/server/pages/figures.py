"""Numbers the way people read them: µs, ms and s, thousands, dollars, times of day."""

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

NONE = "–"
_THIN = "\u202f"


def duration(ms: float | None) -> str:
    """Return milliseconds with the unit that fits: "41 µs", "2.31 ms", "1.20 s", "2 min 5 s"."""
    if ms is None or ms != ms:  # noqa: PLR0124  not-a-number is the one value unequal to itself
        return NONE
    if ms < 0.9995:
        return f"{ms * 1000:.0f}{_THIN}µs"
    if ms < 9.995:
        return f"{ms:.2f}{_THIN}ms"
    if ms < 99.95:
        return f"{ms:.1f}{_THIN}ms"
    if ms < 999.5:
        return f"{ms:.0f}{_THIN}ms"
    if ms < 59_950:
        return f"{ms / 1000:.2f}{_THIN}s"
    minutes, seconds = divmod(round(min(ms, 1e15) / 1000), 60)
    return f"{minutes:,}{_THIN}min {seconds}{_THIN}s"


def ago(seconds: float) -> str:
    """Return a long time in its two largest units: "3 days 4 h", "2 h 5 min", "40 s"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days:,} {'day' if days == 1 else 'days'} {hours}{_THIN}h"
    if hours:
        return f"{hours}{_THIN}h {minutes}{_THIN}min"
    return f"{minutes}{_THIN}min" if minutes else f"{rest}{_THIN}s"


def count(number: int | None) -> str:
    """Return a whole number with its thousands marked."""
    return NONE if number is None else f"{number:,}"


def size(amount: int) -> str:
    """Return bytes with the unit that fits: "820 B", "4.1 kB", "2.0 MB"."""
    if amount < 1000:
        return f"{amount}{_THIN}B"
    value, unit = amount / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f}{_THIN}{unit}" if value < 9.95 else f"{value:.0f}{_THIN}{unit}"


def dollars(amount: str | None) -> str:
    """Return a price of the record; one that is not known is never shown as nothing."""
    if amount is None:
        return "unknown"
    try:
        value = Decimal(amount)
    except InvalidOperation:
        return "unknown"
    if not value.is_finite():
        return "unknown"
    if value >= 1:
        return f"${value:,.2f}"
    step = Decimal("0.0001") if value >= Decimal("0.1") else Decimal("0.000001")
    digits = format(value.quantize(step), "f").rstrip("0")
    if value > 0 and digits in {"0.", "0"}:
        return "< $0.000001"
    whole, _, part = digits.partition(".")
    return f"${whole}.{part.ljust(2, '0')}" if part else f"${whole}"


def share(part: float) -> str:
    """Return a part of one as percent; something is never "0 %", and not all is never "100 %"."""
    percent = part * 100
    if percent in {0, 100}:
        return f"{percent:.0f} %"
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent < 10 or percent > 90 else f"{percent:.0f} %"


def score(value: float | None) -> str:
    """Return a score with two digits."""
    return NONE if value is None else f"{value:.2f}"


def iso(unix_s: float) -> str:
    """Return Unix seconds as an ISO time, UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")


def clock(created_at: str) -> str:
    """Return an ISO time as "24 Nov 2026, 15:04:05 UTC"; text that is none comes back as it is."""
    try:
        time = datetime.fromisoformat(created_at)
    except ValueError:
        return created_at
    if time.tzinfo is not None:
        time = time.astimezone(UTC)
    return f"{time.day} {time:%b %Y, %H:%M:%S} UTC"


def short_clock(created_at: str) -> str:
    """Return an ISO time as "24 Nov 15:04:05", for lists; UTC."""
    try:
        time = datetime.fromisoformat(created_at)
    except ValueError:
        return NONE
    if time.tzinfo is not None:
        time = time.astimezone(UTC)
    return f"{time.day} {time:%b %H:%M:%S}"
