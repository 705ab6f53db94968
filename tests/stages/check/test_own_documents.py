"""The sample collection answers the first question: none of its passages may be taken for an attack."""

from importlib import resources

from greenroom.stages.check.injection import InjectionConfig
from greenroom.stages.check.judging import assess


def test_no_part_of_the_sample_documents_is_dropped() -> None:
    folder = resources.files("greenroom") / "data" / "sample"
    parts = [
        part
        for file in folder.iterdir()
        if file.name.endswith(".md")
        for part in file.read_text("utf-8").split("\n## ")
    ]

    dropped = [part for part in parts if assess(part, "full").injection.score >= InjectionConfig().passage]

    assert len(parts) > 50
    assert dropped == []
