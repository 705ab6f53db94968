"""What clients send about vector stores, and what they are sent. Knows no index but its rows."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from greenroom.errors import MalformedRequest
from greenroom.grounding.attachments import AttachedRow, BatchRow, Chunking, Wanted
from greenroom.grounding.attributes import Filter, Value
from greenroom.grounding.passages import FULL, OVERLAP, TOKEN
from greenroom.grounding.stores import Counts, StoreRow

Key = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=512)]
Metadata = Annotated[dict[Key, Text], Meta(max_length=16)]
Attributes = Annotated[dict[Key, Text | int | float | bool], Meta(max_length=16)]
FileId = Annotated[str, Meta(min_length=1, max_length=64)]
_AUTO = (FULL // TOKEN, OVERLAP // TOKEN)
"""The size and the overlap of passages, in tokens, where nobody said."""


class ExpiresAfter(Struct, kw_only=True, frozen=True):
    """Days after the last use."""

    days: Annotated[int, Meta(ge=1, le=365)]
    anchor: Literal["last_active_at"] = "last_active_at"


class StaticChunking(Struct, kw_only=True, frozen=True):
    """Sizes in tokens."""

    max_chunk_size_tokens: Annotated[int, Meta(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Meta(ge=0, le=2048)]


class ChunkingStrategy(Struct, kw_only=True, frozen=True):
    """How documents are cut: as search likes it, or as the client says."""

    type: Literal["auto", "static"]
    static: StaticChunking | None = None

    def chunking(self) -> Chunking | None:
        """The sizes, if any are set. Raises MalformedRequest."""
        if self.type == "auto":
            return None
        if self.static is None:
            raise MalformedRequest(
                "A static chunking strategy takes its sizes in 'static'.", "chunking_strategy"
            )
        size, overlap = self.static.max_chunk_size_tokens, self.static.chunk_overlap_tokens
        if overlap * 2 > size:
            raise MalformedRequest(
                "'chunk_overlap_tokens' may be at most half of 'max_chunk_size_tokens'.", "chunking_strategy"
            )
        return Chunking(size, overlap)


class NewVectorStore(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/vector_stores`."""

    name: Annotated[str, Meta(max_length=256)] | None = None
    description: Text | None = None
    file_ids: Annotated[list[FileId], Meta(max_length=500)] | None = None
    metadata: Metadata | None = None
    expires_after: ExpiresAfter | None = None
    chunking_strategy: ChunkingStrategy | None = None


class VectorStoreChange(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/vector_stores/{id}`."""

    name: Annotated[str, Meta(max_length=256)] | None = None
    metadata: Metadata | None = None
    expires_after: ExpiresAfter | UnsetType | None = UNSET


class NewVectorStoreFile(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/vector_stores/{id}/files`."""

    file_id: FileId
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class NewFileBatch(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/vector_stores/{id}/file_batches`: `file_ids`, or `files`."""

    file_ids: Annotated[list[FileId], Meta(max_length=2000)] | None = None
    files: Annotated[list[NewVectorStoreFile], Meta(max_length=2000)] | None = None
    attributes: Attributes | None = None
    chunking_strategy: ChunkingStrategy | None = None


class FileAttributes(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/vector_stores/{id}/files/{file_id}`."""

    attributes: Attributes | None


class RankingOptions(Struct, kw_only=True, frozen=True):
    """How results are chosen."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: Annotated[float, Meta(ge=0, le=1)] = 0.0


class VectorStoreSearch(Struct, kw_only=True, frozen=True):
    """Body of `POST /v1/vector_stores/{id}/search`."""

    query: (
        Annotated[str, Meta(max_length=10_000)]
        | Annotated[list[Annotated[str, Meta(max_length=10_000)]], Meta(min_length=1, max_length=20)]
    )
    max_num_results: Annotated[int, Meta(ge=1, le=50)] = 10
    filters: Filter | None = None
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = False
    """Taken, and without effect: search reads a question in each of its languages as it is."""


def wanted(one: NewVectorStoreFile) -> Wanted:
    """A file to attach. Raises MalformedRequest."""
    strategy = one.chunking_strategy
    return Wanted(
        file_id=one.file_id,
        attributes=_known(one.attributes),
        chunking=strategy.chunking() if strategy else None,
    )


def wanted_by(batch: NewFileBatch) -> list[Wanted]:
    """The files of a batch, each once: what `files` says of one goes before `file_ids`. None is a batch too.

    Raises MalformedRequest.
    """
    files = {
        id: NewVectorStoreFile(
            file_id=id, attributes=batch.attributes, chunking_strategy=batch.chunking_strategy
        )
        for id in batch.file_ids or ()
    }
    files |= {one.file_id: one for one in batch.files or ()}
    return [wanted(one) for one in files.values()]


def _known(attributes: Attributes | None) -> dict[str, Value] | None:
    return None if attributes is None else dict(attributes)


def store_shown(row: StoreRow) -> dict[str, object]:
    """A vector store as clients expect it."""
    status = "expired" if row.is_expired else "in_progress" if row.counts.in_progress else "completed"
    return {
        "id": row.id,
        "object": "vector_store",
        "created_at": row.created_at,
        "name": row.name,
        "description": row.description or None,
        "usage_bytes": row.bytes,
        "file_counts": counts_shown(row.counts),
        "status": status,
        "expires_after": None if row.days is None else {"anchor": "last_active_at", "days": row.days},
        "expires_at": row.expires_at,
        "last_active_at": row.active_at,
        "metadata": row.metadata,
    }


def counts_shown(counts: Counts) -> dict[str, int]:
    """Files by what became of them."""
    return {
        "in_progress": counts.in_progress,
        "completed": counts.completed,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "total": counts.total,
    }


def attached_shown(row: AttachedRow) -> dict[str, object]:
    """A file of a vector store as clients expect it."""
    size, overlap = row.chunking or _AUTO
    error = None if row.error is None else {"code": row.error_code, "message": row.error}
    return {
        "id": row.id,
        "object": "vector_store.file",
        "created_at": row.created_at,
        "usage_bytes": row.bytes if row.status == "completed" else 0,
        "vector_store_id": row.store,
        "status": row.status,
        "last_error": error,
        "attributes": row.attributes,
        "chunking_strategy": {
            "type": "static",
            "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap},
        },
    }


def batch_shown(row: BatchRow) -> dict[str, object]:
    """A batch of files as clients expect it."""
    counts = row.counts
    if counts.in_progress:
        status = "in_progress"
    elif row.is_cancelled:
        status = "cancelled"
    else:
        status = "failed" if counts.total and counts.failed == counts.total else "completed"
    return {
        "id": row.id,
        "object": "vector_store.files_batch",
        "created_at": row.created_at,
        "vector_store_id": row.store,
        "status": status,
        "file_counts": counts_shown(counts),
    }
