"""A comparison for people: a table and sentences in a terminal, one HTML file with the picture."""

from html import escape

from greenroom.offline.budget import dollars
from greenroom.offline.compare.comparison import COST, LATENCY, REFUSED, Comparison, Measured, Standing
from greenroom.offline.compare.plot import svg

COLUMNS = ("model", "quality", "against", "p (Holm)", "latency p50/p95", "USD/1000", "refused", "failed")
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #8884; }
svg { max-width: 100%; height: auto; }
"""


def rows(found: Comparison) -> list[tuple[str | None, ...]]:
    """A row for each model, under `COLUMNS`."""
    return [_row(one, found) for one in found.standings]


def _row(one: Standing, found: Comparison) -> tuple[str | None, ...]:
    if one.problem:
        return (one.model, "could not be asked", None, None, None, None, None, None)
    quality, cost, refused = (one.measure(name) for name in (found.metric, COST, REFUSED))
    latency = None
    if one.latency_p50_ms is not None and one.latency_p95_ms is not None:
        latency = f"{one.latency_p50_ms:.0f}/{one.latency_p95_ms:.0f} ms"
    price = None if one.cost_nano is None or not one.asked else f"{one.cost_nano / one.asked / 1e6:.4f}"
    return (
        one.model, _estimate(quality), _difference(quality),
        _p(quality),
        latency, price if cost is not None else None, _share(refused), str(one.failed) if one.failed else "0",
    )  # fmt: skip


def _estimate(one: Measured | None) -> str | None:
    if one is None or one.estimate is None:
        return None
    own = one.estimate
    return f"{own.value:.3f} ({own.low:.3f}–{own.high:.3f})"


def _difference(one: Measured | None) -> str | None:
    if one is None or one.against is None:
        return None
    return f"{one.against.value:+.3f} ({one.against.low:+.3f} to {one.against.high:+.3f})"


def _p(one: Measured | None) -> str | None:
    if one is None or one.p_holm is None:
        return None
    return "< 0.001" if one.p_holm < 0.001 else f"{one.p_holm:.3f}"


def _share(one: Measured | None) -> str | None:
    return None if one is None or one.estimate is None else f"{one.estimate.value:.1%}"


def html(found: Comparison) -> str:
    """The report as one file: nothing is loaded from anywhere, nothing in it runs."""
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape('–' if cell is None else cell)}</td>" for cell in row) + "</tr>"
        for row in rows(found)
    )
    told = "".join(f"<p>{escape(one)}</p>" for one in found.sentences)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Models compared by {escape(found.metric)}</title><style>{_STYLE}</style></head><body>
<h1>Models compared by {escape(found.metric)}</h1>
{told}
{svg(found)}
<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>
{_measures(found)}
<p>“against” is each model minus {escape(found.against)} on the same samples, with a 95 % interval clustered
by group; p is adjusted for the number of models (Holm). {found.compared} of {found.samples} samples were
answered by all. Spent: ${dollars(found.spent_nano)} in {found.calls} calls. Run {escape(found.run)}.</p>
</body></html>
"""


def _measures(found: Comparison) -> str:
    """What else was measured, one table."""
    lines = []
    for one in found.standings:
        for measure in one.measures:
            if measure.name == found.metric or measure.estimate is None:
                continue
            digits = 1 if measure.name == LATENCY else 6 if measure.name == COST else 3
            own, cells = measure.estimate, [one.model, measure.name]
            cells.append(f"{own.value:.{digits}f} ({own.low:.{digits}f}–{own.high:.{digits}f})")
            if measure.against is None:
                cells += ["–", "–"]
            else:
                apart = measure.against
                cells.append(
                    f"{apart.value:+.{digits}f} ({apart.low:+.{digits}f} to {apart.high:+.{digits}f})"
                )
                cells.append(measure.told or "–")
            lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("model", "measure", "mean", "against", "told"))
    return (
        f"<h2>Other measures</h2><table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )
