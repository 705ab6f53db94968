"""`greenroom memory`: what is remembered of users. A running server notices changes within a second."""

from cyclopts import App

from greenroom.cli.output import fail, print_json, print_table
from greenroom.cli.place import FINDINGS, FINE, USAGE, Here

app = App(name="memory", help="Show, add and forget what is remembered of users.")


@app.command(name="list")
def list_memory(
    user: str | None = None, /, *, project: str = "default", json: bool = False, place: Here
) -> int:
    """List the users of a project, or one user's facts: exit 0 when there are any, else 1.

    Parameters
    ----------
    user
        The user whose facts are wanted.
    project
        The project.
    json
        Print JSON.
    """
    from greenroom.assembly.users import UserDesk  # noqa: PLC0415  # a large import; other commands need none of it

    desk = UserDesk(place.open())
    if user is None:
        rows = desk.users(project)
        if json:
            print_json(rows)
        else:
            print_table(
                ("user", "facts", "turns"), [(one["user"], one["facts"], one["turns"]) for one in rows]
            )
        return FINE
    found = desk.memory(project, user)
    if json:
        print_json(found)
    else:
        print_table(
            ("id", "since", "about", "fact", "superseded", "evidence"),
            [
                (one["id"], one["at"][:16], one["slot"], one["text"], one["superseded"], len(one["evidence"]))
                for one in found["facts"]
            ],
        )
    return FINE if found["facts"] or found["turns"] else FINDINGS


@app.command
def add(user: str, text: str, /, *, project: str = "default", json: bool = False, place: Here) -> int:
    """Write a fact down; it supersedes what the user said of the same.

    Parameters
    ----------
    user
        The user.
    text
        The fact, as the user would say it: "I moved to Porto."
    project
        The project.
    json
        Print the fact as JSON.
    """
    from greenroom.assembly.users import UserDesk  # noqa: PLC0415  # as above
    from greenroom.server.users import read_fact  # noqa: PLC0415  # as above

    if not 0 < len(user) <= 128:
        return fail("A user's id has 1 to 128 characters.", USAGE)
    fact = UserDesk(place.open()).add_fact(project, user, read_fact(text))
    if json:
        print_json(fact)
    else:
        print(f"Added fact {fact['id']}.")
    return FINE


@app.command
def forget(
    user: str, /, *, fact: int | None = None, project: str = "default", json: bool = False, place: Here
) -> int:
    """Forget all there is of a user, or one fact: exit 1 when there was nothing.

    Parameters
    ----------
    user
        The user.
    fact
        Only this fact, by its id; its sentence goes from the turns that say it.
    project
        The project.
    json
        Print what was erased as JSON.
    """
    from greenroom.assembly.users import UserDesk  # noqa: PLC0415  # as above

    desk = UserDesk(place.open())
    if fact is not None:
        desk.forget_fact(project, user, fact)
        gone = {"facts": 1}
    else:
        gone = desk.forget(project, user)
    if json:
        print_json(gone)
    else:
        print(f"Forgotten: {', '.join(f'{name} {count}' for name, count in gone.items())}.")
    return FINE if any(gone.values()) else FINDINGS
