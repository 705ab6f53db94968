"""`greenroom config`: is the file right, and what may stand in it."""

from pathlib import Path

from cyclopts import App

from greenroom.assembly import applied
from greenroom.assembly.house import House
from greenroom.assembly.llama import check_table
from greenroom.assembly.models import check_route
from greenroom.assembly.providers import check_address
from greenroom.assembly.steps import STEPS, step_configs
from greenroom.cli import reference
from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE, Here, Place
from greenroom.config import Config
from greenroom.errors import ConfigError
from greenroom.models.catalog import PROVIDERS
from greenroom.tables import decode_table

app = App(name="config", help="Check the configuration file, or explain its keys.")


@app.command
def check(*, json: bool = False, place: Here) -> int:
    """Say whether the configuration file is right: exit 0, or 1 with file, line and the nearest known key.

    Looks at the tables of the steps too. Starts nothing and opens no store.

    Parameters
    ----------
    json
        Print the answer as JSON.
    """
    path = None
    message = None
    try:
        path = place.config_path()
        check_all(place)
    except ConfigError as error:
        message = str(error)
    if json:
        print_json({"file": None if path is None else str(path), "ok": message is None, "error": message})
    elif message is not None:
        return fail(message, FINDINGS)
    else:
        print(f"{path} is right." if path else "There is no configuration file; the defaults hold.")
    return FINE if message is None else FINDINGS


@app.command
def diff(*, json: bool = False, place: Here) -> int:
    """Say what the file would change: exit 0 when nothing, 1 when something. Nothing is applied by it.

    Compared is what a server on this data folder took last. A running server takes a right file by itself
    within a second: edit a copy, and look at it with --config COPY first.

    Parameters
    ----------
    json
        Print the differences as JSON.
    """
    check_all(place)
    config = place.load()
    before = applied.kept(place.data_folder(config))
    if before is None:
        return fail("No server has run on this data folder yet, so there is nothing to compare.", ENVIRONMENT)
    found = applied.differences(before, applied.shown(config))
    if json:
        print_json([one._asdict() for one in found])
    elif not found:
        print("Nothing would change.")
    else:
        print_table(
            ("key", "now", "then", "takes"),
            [(one.key, _brief(one.before), _brief(one.after), one.takes) for one in found],
        )
    return FINDINGS if found else FINE


def _brief(value: object) -> str:
    return value if isinstance(value, str) else reference.toml(value)


@app.command
def schema() -> int:
    """Print the JSON Schema of greenroom.toml, for editors."""
    print_json(reference.schema(step_configs()))
    return FINE


@app.command
def explain(key: str | None = None, /, *, json: bool = False) -> int:
    """Say what a key means: its type, its default, its purpose.

    Parameters
    ----------
    key
        For instance server.port, providers.openai.kind or steps.pii.action; a table lists its keys; nothing
        lists all tables.
    json
        Print the answer as JSON.
    """
    known = reference.tables(step_configs())
    if key is None:
        if json:
            print_json([_plain_table(table) for table in known])
        else:
            for table in known:
                print(f"[{table.path}]  {table.meaning}")
        return FINE
    found = reference.find(key, known)
    if found is None:
        close = reference.nearest(key, known)
        hint = f" Did you mean '{close}'?" if close else " 'greenroom config explain' lists all tables."
        return fail(f"There is no key '{key}'.{hint}", USAGE)
    if json:
        print_json(_plain_table(found) if isinstance(found, reference.Table) else _plain_key(found))
    elif isinstance(found, reference.Table):
        print(f"[{found.path}]  {found.meaning}\n")
        for one in found.keys:
            print(_told(one))
    else:
        print(_told(found))
    return FINE


def check_all(place: Place) -> None:
    """Load the file, decode the table of every step, follow every name. Raises: ConfigError."""
    path = place.config_path()
    if path is None:
        return
    config = place.load()
    text = path.read_text(encoding="utf-8")
    named = [("steps", config.steps)]
    named += [(f"apps.{name}.steps", one.steps) for name, one in config.apps.items()]
    for prefix, steps in named:
        for name, values in steps.items():
            if name not in STEPS:
                raise ConfigError(f"{path}: there is no step '{name}' (at '{prefix}.{name}').")
            decode_table(values, STEPS[name].config, str(path), text, f"{prefix}.{name}.")
    House.open(place.config, place.data, place.environment)  # what it refuses; it opens no store
    for name, provider in config.providers.items():
        check_table(f"{path}: providers.{name}", provider)
        if provider.base_url is not None:
            check_address(f"{path}: providers.{name}", provider.base_url)
    _check_steps(config, path)
    _check_names(config, path)


def _check_steps(config: Config, path: Path) -> None:
    for name, one in config.apps.items():
        for stage in ("preprocess", "ground", "check", "postprocess"):
            fitting = [step for step, known in STEPS.items() if known.stage == stage]
            for step in getattr(one, stage):
                if step not in fitting:
                    said = f"'{step}' is no step of {stage}; these are: {', '.join(fitting)}"
                    raise ConfigError(f"{path}: {said} (at 'apps.{name}.{stage}').")


def _check_names(config: Config, path: Path) -> None:
    """Models lead to providers, apps lead to models."""
    providers = {*config.providers, *PROVIDERS, "greenroom", "llama"}
    for name, model in config.models.items():
        for target in model.targets:
            provider, _, rest = target.partition("/")
            if provider not in providers or not rest:
                said = f"'{target}' is not 'provider/model' of a known provider"
                raise ConfigError(f"{path}: {said} (at 'models.{name}.targets').")
        check_route(f"{path}: models.{name}", model)
    for name, one in config.apps.items():
        if one.model and one.model not in config.models and one.model.partition("/")[0] not in providers:
            said = f"'{one.model}' is neither a configured model nor 'provider/model'"
            raise ConfigError(f"{path}: {said} (at 'apps.{name}.model').")


def _told(key: reference.Key) -> str:
    if key.default is reference.REQUIRED:
        default = "required"
    elif key.default is None:
        default = "not set"
    else:
        default = f"default {reference.toml(key.default)}"
    line = f"{key.path}  ({key.type}; {default})"
    return f"{line}\n    {key.meaning}" if key.meaning else line


def _plain_key(key: reference.Key) -> dict[str, object]:
    required = key.default is reference.REQUIRED
    return {
        "key": key.path,
        "type": key.type,
        "required": required,
        "default": None if required else key.default,
        "meaning": key.meaning,
    }


def _plain_table(table: reference.Table) -> dict[str, object]:
    return {
        "table": table.path,
        "meaning": table.meaning,
        "keys": [_plain_key(one) for one in table.keys],
    }
