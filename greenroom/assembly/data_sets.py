"""What the pages of data sets ask: versions and rows, rows added from files and requests, parts, an export.

Evaluations are loaded when somebody looks, and their file is made when something is kept.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.json import decode, encode

from greenroom.assembly.audit import Audit
from greenroom.assembly.house import House
from greenroom.errors import NotFound
from greenroom.server.api import trace_filter
from greenroom.server.pages.access import check_project, seen
from greenroom.store.data_sets import DataSets, Kept
from greenroom.store.material import stamp

Record = dict[str, Any]  # Any: JSON
FILE = "evals.db"
ROWS = 50
"""On one page."""
_RESERVED = frozenset(("id", "group", "messages", "variables", "expected"))


class DataSetDesk:
    """Answers in worker threads, of the projects that may be seen. Raises: StoreError; NotFound."""

    def __init__(self, house: House) -> None:
        self._house = house

    def all(self) -> list[Record]:
        """The newest version of each, by name; makes no store."""
        if not self._has_any():
            return []
        newest: dict[tuple[str, str], Record] = {}
        for project, one in DataSets(self._house.evals).of_projects(seen()):
            row = newest.setdefault((project, one.name), {**_told(one), "project": project, "versions": 0})
            row["versions"] += 1
        return list(newest.values())

    def show(self, named: str, project: str, start: int, limit: int = ROWS) -> Record:
        """A version, all that there are, and some of its rows."""
        kept = self._find(named, project)
        sets = DataSets(self._house.evals)
        rows = [_row(decode(row)) for row in sets.page(kept, start, limit)]
        versions = [_told(one) for one in sets.list(project) if one.name == kept.name]
        return {**_told(kept), "project": project, "start": start, "all_versions": versions, "data": rows}

    def export(self, named: str, project: str) -> tuple[str, Iterator[bytes]]:
        """What the file is called, and its lines: what `add_file` takes."""
        kept = self._find(named, project)
        return f"{kept.name}-{kept.version}.jsonl", self._lines(kept)

    def _lines(self, kept: Kept) -> Iterator[bytes]:
        sets = DataSets(self._house.evals)
        for start in range(0, kept.rows, ROWS):
            for row in sets.page(kept, start, ROWS):
                yield encode(_row(decode(row))) + b"\n"

    def add_file(
        self, name: str, project: str, raw: bytes, filename: str, *, extends: bool, by: str, address: str
    ) -> Record:
        """Keep the rows of a file, as a new version or added to the newest. Raises: MalformedRequest."""
        from greenroom.offline.evals.data import read_upload  # noqa: PLC0415  # half a MiB that few need

        check_project(project)
        return self._keep(name, project, read_upload(raw, filename), extends, by, address)

    def add_requests(
        self, name: str, project: str, filters: Mapping[str, str], *, with_reply: bool, extends: bool,
        by: str, address: str,
    ) -> Record:  # fmt: skip
        """Keep what recorded requests of the project asked, as `GET /api/traces` finds them."""
        from greenroom.offline.evals.recorded import from_traces  # noqa: PLC0415  # as above

        check_project(project)
        wanted = trace_filter({key: value for key, value in filters.items() if value}, project)
        found = from_traces(self._house.traces, wanted, expect_reply=with_reply)
        return self._keep(name, project, found, extends, by, address)

    def split(self, name: str, project: str, by: str, address: str) -> list[Record]:
        """Keep the parts of the newest version as NAME-train, NAME-dev and NAME-test."""
        from greenroom.offline.evals.data import DataSet  # noqa: PLC0415  # as above
        from greenroom.offline.evals.kept import keep_data, kept_data  # noqa: PLC0415  # as above
        from greenroom.offline.evals.splits import split  # noqa: PLC0415  # as above

        self._find(name, project)
        found = kept_data(self._house.evals, name, project)
        parts = [
            keep_data(
                self._house.evals, f"{name}-{part}", DataSet.of(samples, f"{part} of {found.source}"), project
            )
            for part, samples in split(found.samples).items()
            if samples
        ]
        self._note(by, "data_set.split", name, project, address, parts=[one.name for one in parts])
        return [_told(one) for one in parts]

    def remove(self, name: str, project: str, by: str, address: str) -> None:
        """Erase all versions."""
        self._find(name, project)
        DataSets(self._house.evals).remove(project, name)
        self._note(by, "data_set.delete", name, project, address)

    def _keep(
        self, name: str, project: str, found: Any, extends: bool, by: str, address: str
    ) -> Record:  # Any: a DataSet, which is imported late
        from greenroom.offline.evals.kept import extend_data, keep_data  # noqa: PLC0415  # as above

        if extends:
            kept, added = extend_data(self._house.evals, name, found.samples, found.source, project)
        else:
            kept, added = keep_data(self._house.evals, name, found, project), len(found.samples)
        self._note(by, "data_set.add", name, project, address, version=kept.version, rows=added)
        return {**_told(kept), "project": project, "added": added, "notes": list(found.notes)}

    def _find(self, named: str, project: str) -> Kept:
        if self._has_any() and seen() in {None, project}:
            return DataSets(self._house.evals).find(project, named)
        raise NotFound(f"There is no data set '{named[:100]}'.")

    def _has_any(self) -> bool:
        return (self._house.data / FILE).exists()

    def _note(self, by: str, what: str, name: str, project: str, address: str, **more: object) -> None:
        about = {"name": name, "project": project, **more}
        Audit(self._house).note(by, what, about, address=address)


def _told(one: Kept) -> Record:
    return {
        "name": one.name, "version": one.version, "rows": one.rows, "source": one.source,
        "digest": one.digest, "created_at": stamp(one.created_ns),
    }  # fmt: skip


def _row(sample: Record) -> Record:
    """A row as it is shown and exported: what was read of it, and the fields that came beside."""
    beside = {name: value for name, value in (sample.get("item") or {}).items() if name not in _RESERVED}
    own = {
        name: sample[name]
        for name in ("id", "group", "messages", "variables", "expected")
        if sample.get(name)
    }
    return {**(beside if own.get("messages") or own.get("variables") else {}), **own}
