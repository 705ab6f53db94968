"""The sample collection: the project's own documentation, so that the first question has an answer."""

from importlib import resources

from greenroom.grounding.index import DocumentIndex

SAMPLE_COLLECTION = "greenroom"


def load_sample(documents: DocumentIndex) -> None:
    """Take it in, on the first start alone."""
    if documents.generation() > 0:
        return
    folder = resources.files("greenroom") / "data" / "sample"
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".md"):
            documents.add("default", SAMPLE_COLLECTION, entry.name, entry.read_bytes())
