"""The lint: rules that every version is held to when it is stored, and in a build. No model is asked."""

from greenroom.prompts.lint import rules, wording
from greenroom.prompts.lint.finding import Detect, Finding, Sensitive
from greenroom.prompts.ready import Find
from greenroom.prompts.registry import Registry
from greenroom.prompts.version import PromptVersion

RULES = (
    "unreadable-template", "undeclared-variable", "undeclared-partial", "unused-variable", "unused-partial",
    "broken-partial", "undelimited-text", "secret-in-template", "personal-data-in-template", "contradiction",
    "broken-schema", "example-breaks-schema", "example-breaks-variables", "format-not-named",
    "steps-before-schema", "pointless-self-consistency", "too-many-tokens", "cache-hostile-order",
    "redundant-step-by-step", "label-unlinted",
)  # fmt: skip
"""All of them, by the names that findings carry."""


def lint(
    version: PromptVersion,
    *,
    find: Find | None = None,
    model: str | None = None,
    window: int | None = None,
    detect: Detect | None = None,
) -> list[Finding]:
    """The faults of a version, errors first.

    `find` gives partials (without it they are not looked into); `model` is who answers, else the version's
    own; `window` is how many tokens that takes; `detect` finds secrets and personal data (without it they
    are not looked for).
    """
    model = model or version.settings.model
    found = [*rules.variables(version), *rules.undelimited(version)]
    if find is not None:
        found += rules.partials(version, find)
    if detect is not None:
        found += rules.sensitive(version, detect)
    found += wording.contradictions(version)
    found += rules.examples(version)
    found += rules.form(version)
    found += rules.size(version, window)
    found += rules.order(version)
    found += wording.steps(version, model)
    return sorted(found, key=lambda one: one.severity != "error")


def lint_labels(registry: Registry, name: str, detect: Detect | None = None) -> list[Finding]:
    """Labels that stand for versions which were stored though they have errors."""
    found = []
    for label, number in registry.labels.get(name, {}).items():
        version = registry.versions[name][number]
        errors = [one for one in lint(version, find=registry.find, detect=detect) if one.severity == "error"]
        if errors:
            found.append(
                Finding(
                    rule="label-unlinted", severity="error", place=f"labels.{label}",
                    message=f"'{label}' stands for version {number}, which has {len(errors)} "
                    f"error{'s' if len(errors) > 1 else ''}: {errors[0].message}",
                    remedy=f"Mend it in a new version and move the label: greenroom prompts promote {name}.",
                )
            )  # fmt: skip
    return found


def has_errors(findings: list[Finding]) -> bool:
    """Whether any of them keeps a version from being stored."""
    return any(one.severity == "error" for one in findings)


__all__ = ["RULES", "Detect", "Finding", "Sensitive", "has_errors", "lint", "lint_labels"]
