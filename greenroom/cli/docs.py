"""`greenroom docs`: the documents that answers draw on. A running server notices changes at once."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from msgspec import to_builtins

from greenroom.cli.output import console, fail, print_json, print_table, printable
from greenroom.cli.place import ENVIRONMENT, FINDINGS, FINE, USAGE, Here
from greenroom.errors import RequestError
from greenroom.grounding.database import DocumentRow
from greenroom.grounding.stems import language_of
from greenroom.grounding.vectors import Asked
from greenroom.grounding.words import ALL

app = App(name="docs", help="Add, list, search and remove the documents that answers draw on.")

SUFFIXES = frozenset({".md", ".markdown", ".mdx", ".txt", ".rst", ".html", ".htm", ".xhtml", ".pdf", ".docx"})
"""What is taken from a folder; a file that is named itself is read whatever it is called."""


@app.command
def add(
    *paths: Path,
    collection: str = "documents",
    project: str = "default",
    json: bool = False,
    place: Here,
) -> int:
    """Add files, or the Markdown, text, HTML, PDF and DOCX files of a folder; same names are replaced.

    Parameters
    ----------
    paths
        Files and folders.
    collection
        The named set the documents belong to.
    project
        The project whose keys may see them.
    json
        Print what was added as JSON.
    """
    if not paths:
        return fail("Name at least one file or folder.", USAGE)
    if not collection.strip() or not project.strip():
        return fail("A collection and a project need a name.", USAGE)
    missing = [path for path in paths if not path.exists()]
    if missing:
        return fail(f"There is no file or folder '{missing[0]}'.", USAGE)
    files = list(_files(paths))
    if not files:
        return fail(
            f"There is no document in '{paths[0]}': {', '.join(sorted(SUFFIXES))} are read.", FINDINGS
        )
    index = place.open().documents
    added: list[DocumentRow] = []
    refused: list[str] = []
    for path, name in _shown(files, quiet=json):
        try:
            added.append(index.add(project, collection, name, path.read_bytes()))
        except OSError as error:
            refused.append(f"{path}: {error.strerror or type(error).__name__}")
        except RequestError as error:
            refused.append(f"{path}: {error}")
    if json:
        print_json([to_builtins(one) for one in added])
    else:
        count = sum(one.passages for one in added)
        print(f"Added to collection '{collection}': documents {len(added)}, passages {count}.")
    for sentence in refused:
        fail(printable(sentence), ENVIRONMENT)
    return ENVIRONMENT if refused else FINE


@app.command(name="list")
def list_documents(
    *, collection: str | None = None, project: str = "default", json: bool = False, place: Here
) -> int:
    """List the documents of a project.

    Parameters
    ----------
    collection
        Of this collection only.
    project
        The project.
    json
        Print a JSON array.
    """
    rows = place.open().documents.list(project, collection)
    if json:
        print_json([to_builtins(one) for one in rows])
    else:
        print_table(
            ("id", "collection", "file", "title", "status", "language", "passages", "bytes"),
            [
                (
                    o.id,
                    o.collection or o.collection_id,
                    o.filename,
                    o.title,
                    o.status,
                    o.language,
                    o.passages,
                    o.bytes,
                )
                for o in rows
            ],
        )
    return FINE


@app.command
def search(
    query: str,
    /,
    *,
    collections: Annotated[list[str] | None, Parameter(name=["--collection"], negative=())] = None,
    project: str = "default",
    limit: int = 5,
    json: bool = False,
    place: Here,
) -> int:
    """Find passages as the step `documents` would: exit 0 when something was found, else 1.

    Parameters
    ----------
    query
        Words or a question.
    collections
        A collection to look in; may be given more than once; without it all.
    project
        The project.
    limit
        How many passages at most.
    json
        Print a JSON array.
    """
    house = place.open()
    index, within, vector = house.documents, collections or [ALL], None
    encoder = house.encoder
    if encoder is not None and language_of(query) in encoder.languages and index.has_vectors(project, within):
        vector = Asked(encoder.name, encoder.encode([query])[0])
    found = index.search(query, project=project, collections=within, limit=limit, vector=vector)
    if json:
        print_json([to_builtins(one) for one in found])
        return FINE if found else FINDINGS
    if not found:
        return fail("No passage answers this.", FINDINGS)
    out = console()
    for passage in found:
        out.print(
            f"{passage.score:.3f}  {printable(passage.title)}  {printable(passage.document)}", style="bold"
        )
        out.print(printable(passage.text) + "\n")
    return FINE


@app.command
def remove(*documents: str, collection: str | None = None, project: str = "default", place: Here) -> int:
    """Remove documents by id or file name, or a whole collection.

    Parameters
    ----------
    documents
        Ids or file names, as `greenroom docs list` shows them.
    collection
        Only of this collection; without any document the whole collection.
    project
        The project.
    """
    index = place.open().documents
    if not documents:
        if collection is None:
            return fail("Name documents, or a collection with --collection.", USAGE)
        if not index.remove_collection(project, collection):
            return fail(f"There is no collection '{collection}' in project '{project}'.", FINDINGS)
        print(f"Removed collection '{collection}'.")
        return FINE
    known = index.list(project, collection)
    for wanted in documents:
        matching = [one for one in known if wanted in {one.id, one.filename}]
        if not matching:
            return fail(f"There is no document '{wanted}' in project '{project}'.", FINDINGS)
        if len(matching) > 1:
            return fail(f"'{wanted}' is there more than once; give its id, or its --collection.", USAGE)
        index.remove(project, matching[0].id, matching[0].collection_id)
        print(f"Removed {matching[0].filename} ({matching[0].id}).")
    return FINE


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Files with the names they are stored under: below a folder its parts are kept, so that names differ."""
    for path in paths:
        if path.is_file():
            yield path, path.name
            continue
        for found in sorted(path.rglob("*")):
            parts = found.relative_to(path).parts
            if (
                found.is_file()
                and found.suffix.lower() in SUFFIXES
                and not any(p.startswith(".") for p in parts)
            ):
                yield found, " · ".join(parts)


def _shown(files: list[tuple[Path, str]], *, quiet: bool) -> Iterator[tuple[Path, str]]:
    """The files with a progress bar at a terminal, one line each otherwise."""
    out = console()
    if quiet:
        yield from files
    elif out.is_terminal:
        from rich.progress import track  # noqa: PLC0415  # for people only

        yield from track(files, "Reading", console=out, transient=True)
    else:
        for path, name in files:
            print(printable(name), flush=True)
            yield path, name
