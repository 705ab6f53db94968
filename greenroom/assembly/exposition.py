"""Prometheus' text format, version 0.0.4: instruments as lines, and a word of help for each.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

from greenroom.assembly.metrics import Reading

HELP: Mapping[str, str] = {
    "greenroom_requests_total": "Requests by app and outcome.",
    "greenroom_requests_in_flight": "Requests at work now.",
    "greenroom_index_cpu_seconds_total": "CPU time spent on the full-text index.",
    "greenroom_index_pending": "Stored exchanges that the full-text index may lack.",
    "greenroom_store_log_bytes": "Size of the traces' write-ahead log.",
    "greenroom_store_queued": "Exchanges that wait to be stored.",
    "greenroom_store_errors_total": "Errors of the traces' store.",
    "greenroom_ledger_lines_total": "Lines written to the ledger.",
    "greenroom_ledger_lines_lost_total": "Lines that the ledger did not take.",
    "greenroom_ledger_requests_abandoned_total": "Requests that nobody ended, settled at their worst.",
    "greenroom_ledger_errors_total": "Errors of the ledger's store.",
    "greenroom_ledger_waiting": "Lines that wait to be written.",
    "greenroom_traces_lost_total": "Exchanges that were not recorded.",
    "greenroom_trace_bodies_lost_total": "Exchanges recorded without their texts.",
    "greenroom_responses_lost_total": "Responses that were not kept.",
    "greenroom_model_calls_total": "Calls of models by result.",
    "greenroom_model_input_tokens_total": "Tokens asked of a model.",
    "greenroom_model_output_tokens_total": "Tokens answered by a model.",
    "greenroom_model_output_seconds_total": "Time in which answers came.",
    "greenroom_model_first_token_seconds": "Until the first content of streams.",
    "greenroom_model_at_work": "Calls of a model at work now.",
    "greenroom_model_waiting": "Requests that wait for a place at a model.",
    "greenroom_engine_up": "Whether a local model's process is ready.",
}
"""What metrics are that are counted elsewhere; others are described by their own names."""
_KINDS = ("counter", "gauge", "histogram")


def lines_of(readings: Sequence[Reading]) -> list[str]:
    """The lines of instruments, ordered by their names."""
    lines = []
    for _, some in groupby(readings, key=lambda one: one.metric.name):
        group = list(some)
        metric = group[0].metric
        name = metric.prometheus
        lines += [f"# HELP {name} {metric.description}", f"# TYPE {name} {metric.kind}"]
        for one in group:
            labels = ",".join(f'{_name(key)}="{label(value)}"' for key, value in one.labels if value)
            if one.counts is None:
                lines.append(f"{name}{{{labels}}} {_number(one.value)}")
                continue
            total, before = 0, f"{labels}," if labels else ""
            bounds = [*(f"{bound:.10g}" for bound in metric.bounds), "+Inf"]
            for bound, count in zip(bounds, one.counts, strict=True):
                total += count
                lines.append(f'{name}_bucket{{{before}le="{bound}"}} {total}')
            lines += [f"{name}_sum{{{labels}}} {one.value:.6f}", f"{name}_count{{{labels}}} {total}"]
    return lines


def with_help(text: str) -> str:
    """The same with a line of help before every metric that has none."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split(" ", 3)[2]
            if not (lines and lines[-1].startswith(f"# HELP {name} ")):
                lines.append(f"# HELP {name} {HELP.get(name) or _words(name)}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def label(text: str) -> str:
    """A value as it stands between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _words(name: str) -> str:
    return name.removeprefix("greenroom_").removesuffix("_total").replace("_", " ").capitalize() + "."


def _name(attribute: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9f}"
