"""Where one can go from every page: groups of places, in the order in which they stand in the bar."""

from typing import NamedTuple


class Place(NamedTuple):
    """One page of the bar; `here` is what its template says of itself. Who may not open it sees no line."""

    here: str
    title: str
    path: str


class Group(NamedTuple):
    """Places that belong together; a group without a title stands by itself."""

    title: str
    places: tuple[Place, ...]


GROUPS: tuple[Group, ...] = (
    Group("", (Place("home", "Ask", "/"),)),
    Group("See", (
        Place("overview", "Overview", "/overview"),
        Place("requests", "Requests", "/requests"),
        Place("sessions", "Sessions", "/sessions"),
        Place("users", "Users", "/users"),
        Place("usage", "Usage", "/usage"),
        Place("quality", "Quality", "/quality"),
        Place("drift", "Drift", "/drift"),
        Place("alerts", "Alerts", "/alerts"),
    )),
    Group("Build", (
        Place("prompts", "Prompts", "/prompts"),
        Place("playground", "Playground", "/playground"),
        Place("evaluations", "Evaluations", "/evaluations"),
        Place("experiments", "Experiments", "/experiments"),
        Place("optimizations", "Optimisation", "/optimizations"),
        Place("collections", "Collections", "/collections"),
        Place("datasets", "Data sets", "/datasets"),
        Place("choose", "Choose", "/choose"),
        Place("models", "Models", "/models"),
        Place("finetuning", "Fine-tuning", "/finetuning"),
        Place("deployments", "Deployments", "/deployments"),
        Place("batches", "Batches", "/batches"),
    )),
    Group("Guard", (Place("safety", "Safety", "/safety"), Place("audit", "Audit", "/audit"))),
    Group("", (Place("settings", "Settings", "/settings"),)),
)  # fmt: skip
"""Every page of its own has one line here."""
