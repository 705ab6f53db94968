"""`greenroom init`: a commented greenroom.toml that says what holds anyway."""

import textwrap
from pathlib import Path

from greenroom.assembly.steps import step_configs
from greenroom.cli import reference
from greenroom.cli.output import fail
from greenroom.cli.place import FINE, USAGE
from greenroom.config import FILE_NAME

_HEAD = """\
# Greenroom's configuration. Every value here is the default: delete what you don't change.
# A line that begins with # and no space is switched off; take the # away to use it.
# 'greenroom config check' says whether the file is right, 'greenroom config explain KEY' what a key means.
# A running server takes the file again when it changes; a wrong one is refused and the old one stays.
"""

_EXAMPLES = {
    "providers.NAME": {"NAME": "openai", "kind": '"openai"', "api_key_env": '"OPENAI_API_KEY"'},
    "models.NAME": {"NAME": "fast", "targets": '["openai/gpt-5-mini", "anthropic/claude-haiku-4-5"]'},
    "apps.NAME": {"NAME": "support", "model": '"fast"', "collections": '["handbook"]'},
    "budgets.NAME": {"NAME": "search-team", "usd": "200", "period": '"month"', "tag": '"team=search"'},
    "prices.NAME": {"NAME": '"ollama/*"', "input_per_mtok_usd": "0"},
    "policies.NAME": {"NAME": "personal", "action": '"mask"', "category": '"personal_data"'},
    "refusals.NAME": {"NAME": "personal_data"},
    "alerts.rules.NAME": {"NAME": "slow", "kind": '"threshold"', "metric": '"total_p95_ms"', "above": "8000"},
    "alerts.channels.NAME": {
        "NAME": "ops",
        "kind": '"webhook"',
        "url": '"https://hooks.example.com/greenroom"',
        "secret_env": '"GREENROOM_HOOK_SECRET"',
    },
    "experiments.NAME": {"NAME": "cheaper", "app": '"support"', "metric": '"helpful"'},
    "experiments.NAME.arms.NAME": {"NAME": "cheaper", "model": '"fast"', "share": "0.3"},
    "projects.NAME": {"NAME": "clinic", "retention_days": "3"},
    "quality.NAME": {"NAME": "declines", "scorer": '"refusal"', "share": "0.2"},
}
_UNSET = {"base_url": '"https://…/v1"', "tls_cert": '"cert.pem"', "tls_key": '"key.pem"'}


def init(path: Path = Path(FILE_NAME), /, *, force: bool = False) -> int:
    """Write a commented greenroom.toml that equals the defaults.

    Parameters
    ----------
    path
        Where to write.
    force
        Replace a file that is there.
    """
    if path.exists() and not force:
        return fail(f"'{path}' exists. Choose another name, or replace it with --force.", USAGE)
    path.write_text(commented_file(), encoding="utf-8")
    print(f"Wrote {path}. Change it, then run 'greenroom config check'.")
    return FINE


def commented_file() -> str:
    """The text of a file with every key, its meaning and its default."""
    return "\n".join([_HEAD, *(_table(one) for one in reference.tables(step_configs()))])


def _table(table: reference.Table) -> str:
    example = _EXAMPLES.get(table.path)
    is_example = example is not None or table.path.startswith("steps.")
    off = "#" if is_example else ""
    heading = table.path if example is None else table.path.replace(reference.NAME, example["NAME"])
    lines = [_comment(table.meaning[:1].upper() + table.meaning[1:], "# "), f"{off}[{heading}]"]
    for key in table.keys:
        name = key.path.rpartition(".")[2]
        if name == "steps" or not reference.TABLES.keys().isdisjoint(
            {key.path, f"{key.path}.{reference.NAME}"}
        ):
            continue
        value = (example or {}).get(name)
        if value is None and key.default in (None, reference.REQUIRED):
            value = _UNSET.get(name, '["…"]' if key.type.startswith("list") else '"…"')
            entry = f"#{name} = {value}"
        else:
            entry = f"{off}{name} = {value or reference.toml(key.default)}"
        if key.meaning:
            lines.append(_comment(key.meaning, "# "))
        lines.append(f"{entry}  # {key.type}")
    return "\n".join(line for line in lines if line) + "\n"


def _comment(text: str, mark: str) -> str:
    return textwrap.fill(text, 100, initial_indent=mark, subsequent_indent=mark)
