"""`greenroom route`: routers that choose a model by what the prompt says."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINE, INCONCLUSIVE, USAGE, Here, Place
from greenroom.errors import ConfigError

if TYPE_CHECKING:
    from greenroom.models.learned.examples import Examples
    from greenroom.models.learned.file import Header

app = App(name="route", help="Train routers that choose a model by what the prompt says, and look at them.")

_TRACES, _EVAL = "traces:", "eval:"


@app.command
def train(
    *,
    source: Annotated[tuple[str, ...], Parameter(name="--from", negative=())],
    out: str,
    json: bool = False,
    place: Here,
) -> int:
    """Train a router from scored answers. Exit 2 when they cannot support one; nothing is written then.

    Parameters
    ----------
    source
        A file of JSON lines (prompt, target, score from 0 to 1), recorded exchanges that have a score, as
        traces:score=helpful,app=support, or a run of greenroom eval, as eval:RUN,score=exact. May be given
        several times.
    out
        The router's name, for [models.NAME] router = "…", or a path that ends in .router.
    json
        Print what was learned as JSON.
    """
    from greenroom.assembly.learned import FOLDER, router_path  # noqa: PLC0415  # large; others need none of it
    from greenroom.models.learned.file import save  # noqa: PLC0415  # as above
    from greenroom.models.learned.teaching import Unsupported, teach  # noqa: PLC0415  # as above
    from greenroom.stages.language import detect  # noqa: PLC0415  # as above

    if not out or out.startswith("."):
        return fail("A router's name is a word, as in --out support.", USAGE)
    house = place.open()
    path = router_path(house.data, out)
    if path.parent == house.data / FOLDER:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    examples = _examples(place, source)
    encoder = house.encoder
    try:
        trained = teach(
            examples,
            None if encoder is None else encoder.glance,
            lambda text: detect(text)[0],
            source=", ".join(source)[:500],
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            tell=(lambda _: None) if json else print,
        )
    except Unsupported as error:
        return fail(f"No router was made: {error}", INCONCLUSIVE)
    save(trained, path)
    _show(trained.header, path, json=json)
    if not json:
        print(f'\nTo use it: [models.NAME] route = "learned", router = "{out}", price_of_quality = … USD.')
    return FINE


@app.command
def show(router: str, /, *, json: bool = False, place: Here) -> int:
    """Show what a router knows: its targets, its languages, and what it was worth on prompts left out.

    Parameters
    ----------
    router
        The router's name, or its path.
    json
        Print it as JSON.
    """
    from greenroom.assembly.learned import router_path  # noqa: PLC0415  # large; others need none of it
    from greenroom.models.learned.file import load  # noqa: PLC0415  # as above

    path = router_path(place.data_folder(place.load()), router)
    _show(load(path).header, path, json=json)
    return FINE


def _examples(place: Place, sources: tuple[str, ...]) -> "Examples":
    from greenroom.assembly.scored import read_wanted, scored_answers  # noqa: PLC0415  # as above
    from greenroom.assembly.scored_run import run_answers  # noqa: PLC0415  # as above
    from greenroom.models.learned.examples import gather, read_lines  # noqa: PLC0415  # as above

    answers = []
    for one in sources:
        if one.startswith(_TRACES):
            found = list(scored_answers(place.open().traces, read_wanted(one.removeprefix(_TRACES))))
            if not found:
                raise ConfigError(f"No recorded exchange with its texts fits '{one}'.")
            answers += found
        elif one.startswith(_EVAL):
            answers += run_answers(place.open().evals, one.removeprefix(_EVAL))
        else:
            answers += read_lines(Path(one).expanduser())
    return gather(answers)


def _show(header: "Header", path: Path, *, json: bool) -> None:
    if json:
        from msgspec import to_builtins  # noqa: PLC0415  # used here alone

        print_json({"path": str(path), **to_builtins(header)})
        return
    print(
        f"{path}: {header.prompts:,} prompts, from {header.source or 'an unknown source'}, {header.made_at}."
    )
    languages = ", ".join(f"{code} {count:,}" for code, count in sorted(header.languages.items()))
    print(f"Languages: {languages or 'none with 20 prompts'}.")
    if header.dominant is not None:
        print(f"{header.dominant} is better than each other target and not dearer: it is always asked first.")
    print_table(
        ("target", "labels", "mean score", "output tokens", "guesses"),
        [
            (
                one.name, one.labels, f"{one.mean:.3f}",
                None if one.output_tokens is None else round(one.output_tokens),
                "follow the others" if one.follows else "its own",
            )
            for one in header.targets
        ],
    )  # fmt: skip
    print_table(("on prompts left out", "value", "95 % interval"), list(_figures(header.figures)))


def _figures(figures: dict[str, float | None]) -> "list[tuple[str, str, str | None]]":
    named = {
        "apgr": "APGR (chance: .5)",
        "aiq": "AIQ",
        "aiq_alone": "AIQ without looking at prompts",
        "ece": "calibration error (ECE)",
        "saving": "saved at equal quality",
        "quality": "change of quality then",
        "tells": "what prompts tell, in standard errors",
    }
    rows = []
    for key, name in named.items():
        value, low, high = (figures.get(key + part) for part in ("", "_low", "_high"))
        if value is not None:
            interval = None if low is None or high is None else f"{low:.3f} to {high:.3f}"
            rows.append((name, f"{value:.3f}", interval))
    return rows
