"""What `--data` names: a file, a kept data set, or recorded exchanges."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from greenroom.cli.trace import Which
from greenroom.errors import MalformedRequest
from greenroom.offline.evals.recorded import from_traces
from greenroom.offline.evals.sample import Sample
from greenroom.offline.evals.suite import data_of

if TYPE_CHECKING:
    from greenroom.assembly import House

Samples = Annotated[str, Parameter(name=("--samples", "--data"))]
"""`--data` behind the command means samples, before the command the folder of the stores."""
TRACES = "traces:"
MOST_TRACES = 200
_CONDITIONS = ("q", "app", "model", "outcome", "session", "user", "tag", "score", "project")
_MOMENTS = ("since", "until")


def samples_of(house: "House", named: str) -> tuple[Sample, ...]:
    """The samples. `traces:` takes conditions as `greenroom trace list` does: `traces:app=support,limit=100`.

    Raises: MalformedRequest that names the file, line or condition; NotFound.
    """
    if not named.startswith(TRACES):
        return data_of(named, Path(), house.evals).samples
    given: dict[str, object] = {}
    limit = MOST_TRACES
    for part in filter(None, named.removeprefix(TRACES).split(",")):
        name, mark, value = part.partition("=")
        try:
            if not mark or not value:
                raise ValueError  # one sentence for all of them
            if name == "limit":
                limit = int(value)
            elif name in _MOMENTS:
                given[name] = datetime.fromisoformat(value)
            elif name in _CONDITIONS:
                given[name] = value
            else:
                raise ValueError  # as above
        except ValueError:
            known = ", ".join((*_CONDITIONS, *_MOMENTS, "limit"))
            raise MalformedRequest(
                f"'{part}' is no condition for traces. Write NAME=VALUE, separated by commas, of: {known}.",
                "data",
            ) from None
    which = Which(**given)  # type: ignore[arg-type]  # names and types as above
    return from_traces(house.traces, which.filter(limit), expect_reply=True).samples
