"""`greenroom import`: other programs' configurations as a greenroom.toml."""

import sys
from pathlib import Path

from cyclopts import App

from greenroom.assembly.litellm import translate
from greenroom.cli.output import fail, print_json
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE
from greenroom.config import Config
from greenroom.tables import decode_table

app = App(name="import", help="Turn another program's configuration into a greenroom.toml.")

_LARGEST = 4 * 1024 * 1024


@app.command
def litellm(file: Path, /, *, out: Path | None = None, json: bool = False) -> int:
    """Translate a LiteLLM config.yaml. What can't be said here is named on stderr: exit 1 then, else 0.

    Parameters
    ----------
    file
        The config.yaml of LiteLLM's proxy.
    out
        Where the greenroom.toml goes; without it on stdout. An existing file is not overwritten.
    json
        Print the translation and what was left out as JSON.
    """
    try:
        import yaml  # noqa: PLC0415  # of an extra, which only this command needs
    except ModuleNotFoundError:
        return fail("Reading YAML needs PyYAML. Install it with: pip install pyyaml", ENVIRONMENT)
    try:
        if file.stat().st_size > _LARGEST:
            return fail(f"'{file}' is larger than {_LARGEST >> 20} MiB, so it is no configuration.", USAGE)
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        translated = translate(found)
    except OSError as error:
        return fail(f"'{file}' can't be read: {error.strerror or error}.", ENVIRONMENT)
    except UnicodeDecodeError as error:
        return fail(f"'{file}' is not UTF-8 text (at byte {error.start}).", USAGE)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        return fail(f"'{file}' is not YAML{line}: {error.problem}.", USAGE)
    except (yaml.YAMLError, RecursionError):
        return fail(f"'{file}' is not YAML.", USAGE)
    except ValueError as error:
        return fail(f"'{file}' is no LiteLLM configuration: {error}.", USAGE)
    import tomllib  # noqa: PLC0415  # only to see that what we wrote is right

    decode_table(tomllib.loads(translated.toml), Config, "the translation", translated.toml)
    if json:
        print_json({"toml": translated.toml, "left_out": translated.left_out})
        return FINDINGS if translated.left_out else FINE
    if out is None:
        print(translated.toml, end="")
    else:
        try:
            with out.open("x", encoding="utf-8") as target:
                target.write(translated.toml)
        except FileExistsError:
            return fail(f"'{out}' is there already and is not overwritten.", USAGE)
        except OSError as error:
            return fail(f"'{out}' can't be written: {error.strerror or error}.", ENVIRONMENT)
    for one in translated.left_out:
        print(one, file=sys.stderr)
    return FINDINGS if translated.left_out else FINE
