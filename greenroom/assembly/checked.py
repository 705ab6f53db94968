"""A configuration held to what there is, before anything is built from it."""

from pathlib import Path

from greenroom.assembly.canary_runs import check_canaries
from greenroom.assembly.money import check_money
from greenroom.assembly.policies import check_policies
from greenroom.assembly.prompts import check_prompts
from greenroom.assembly.quality_rules import check_quality
from greenroom.assembly.steps import check_tables
from greenroom.assembly.trials import check_experiments
from greenroom.config import Config
from greenroom.offline.otel.settings import check_endpoint


def check(config: Config, path: Path | None) -> None:
    """Look at every table, used or not. Raises: ConfigError naming file and key."""
    source = str(path or "the defaults")
    check_tables(config, source)
    check_policies(config, path)
    check_money(config, source)
    check_prompts(config, source)
    check_experiments(config, source)
    check_endpoint(config.otel, source)
    check_canaries(config, source)
    check_quality(config, source)
