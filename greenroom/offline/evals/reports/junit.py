"""The report as JUnit XML, for a CI's page of tests: a suite for each run, a case for a sample or rule."""

from xml.etree import ElementTree as ET  # writing alone: nothing foreign is parsed

from greenroom.offline.evals.reports.report import Case, Report, RunReport

_KINDS = {"regression": "failure", "inconclusive": "skipped", "infrastructure": "error"}


def to_junit(report: Report) -> str:
    """Broken rules and samples that a scorer failed are failures, failed calls errors, open rules skipped."""
    root = ET.Element("testsuites", name="greenroom eval")
    if report.verdicts:
        rules = ET.Element("testsuite", name="rules", tests=str(len(report.verdicts)))
        for one in report.verdicts:
            case = ET.SubElement(rules, "testcase", classname=_xml(one.subject), name=_xml(one.rule))
            if one.result in _KINDS:
                ET.SubElement(case, _KINDS[one.result], message=_xml(one.reason))
        _count(rules)
        root.append(rules)
    for run in report.runs:
        root.append(_suite(run))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(run: RunReport) -> ET.Element:
    suite = ET.Element(
        "testsuite", name=_xml(run.subject), timestamp=run.started_at[:19], tests=str(run.done)
    )
    for one in run.cases:
        seconds = f"{one['latency_ms'] / 1000:.3f}"
        name = one["id"] if one["repeat"] == 0 else f"{one['id']} ({one['repeat'] + 1})"
        case = ET.SubElement(suite, "testcase", classname=_xml(run.subject), name=_xml(name), time=seconds)
        if one["outcome"] == "failed":
            ET.SubElement(case, "error", message=_xml(one["error"] or "There was no answer."))
        elif said := _failures(one):
            failure = ET.SubElement(case, "failure", message=_xml("; ".join(said)))
            failure.text = _xml(f"{one['question']}\n\n{one['answer']}")
    _count(suite)
    return suite


def _failures(one: Case) -> list[str]:
    return [
        f"{name}: {score['reason'] or score['value']}"
        for name, score in one["scores"].items()
        if score["passed"] is False
    ]


def _count(suite: ET.Element) -> None:
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))


def _xml(text: str) -> str:
    """Without characters that XML has no way to write."""
    return "".join(
        one if one >= " " or one in "\n\t" else "�" for one in text if not "\ud800" <= one <= "\udfff"
    )
