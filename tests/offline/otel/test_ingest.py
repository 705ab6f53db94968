"""What applications tell is kept masked, or without texts, and no more of it than there is room for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.assembly.users import Masks
from greenroom.offline.otel.evaluations import Evaluation
from greenroom.offline.otel.ingest import Capture, Ingest
from greenroom.store.material import pseudonym
from greenroom.store.spans import SpanStore
from greenroom.wire.otlp import protobuf
from greenroom.wire.otlp.signals import Event, Link, Origin, Span, Spans

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CPF, MAIL = "123.456.789-09", "ana.silva@example.com"
BARE = 12_345_678_909
SECRET = "sk-proj-Zx8vQ2nL5tR7wY1bC4dF6gH9jK3mP0sA"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SpanStore]:
    store = SpanStore(tmp_path / "spans.db")
    yield store
    store.close()


def nowhere(project: str, told: Evaluation) -> bool:
    return False


def taken_in(store: SpanStore, capture: Capture = "redacted", most: int = 1 << 30, **fields: Any) -> Any:
    ingest = Ingest(lambda: store, Masks, nowhere, capture=lambda: capture, most_bytes=lambda: most)
    origin = Origin({"service.name": "shop", "host.owner": MAIL}, "app")
    span = Span(trace=TRACE, id=SPAN, **{"name": "turn", **fields})
    return ingest.spans("p", protobuf.traces([Spans(origin, [span])]), is_json=False)


def kept(store: SpanStore) -> Span:
    (found,) = store.of("p", TRACE).spans
    return found.span


TEXTS: dict[str, Any] = {
    "attributes": {
        "mail": MAIL, "url.full": f"https://x.example/?key={SECRET}", "customer.cpf": BARE, "list": ["ok", [MAIL]],
        "map": {"cpf": {"inner": CPF}}, f"to {MAIL}": 1, "count": 12, "yes": True,
    },
    "events": [Event("said", 1, {"text": f"My CPF is {CPF}."})],
    "links": [Link(TRACE, SPAN, attributes={"mail": MAIL})],
    "name": f"mail {MAIL}", "message": f"{SECRET} was refused", "status": 2,
}  # fmt: skip


def test_personal_data_and_secrets_become_masks_wherever_they_stand(store: SpanStore) -> None:
    taken_in(store, **TEXTS)

    (found,) = store.of("p", TRACE).spans
    said = repr(found)
    assert [one for one in (MAIL, SECRET, CPF, str(BARE)) if one in said] == []
    assert found.span.attributes["mail"] == "<EMAIL_1>"
    assert found.span.attributes["map"] == {"cpf": {"inner": "<CPF_2>"}}
    assert (found.span.attributes["count"], found.span.attributes["yes"]) == (12, True)
    assert found.span.events[0].attributes["text"] == "My CPF is <CPF_2>."


def test_where_everything_is_captured_nothing_is_changed(store: SpanStore) -> None:
    taken_in(store, "full", **TEXTS)

    assert kept(store).attributes == TEXTS["attributes"]


def test_where_no_texts_are_captured_none_is_kept(store: SpanStore) -> None:
    texts: dict[str, Any] = {
        "gen_ai.input.messages": "hi",
        "llm.input_messages.0.message.content": "hi",
        "long": "word " * 60,
        "list": ["hi"],
    }

    taken_in(store, "off", attributes={**texts, "gen_ai.request.model": "gpt-5", "n": 1, "mail": MAIL})

    span = kept(store)
    assert span.attributes == {"gen_ai.request.model": "gpt-5", "n": 1, "mail": "<EMAIL_1>"}
    assert span.dropped == 4


def test_a_user_with_a_name_that_is_personal_data_can_still_be_erased(store: SpanStore) -> None:
    taken_in(store, attributes={"enduser.id": MAIL})

    assert kept(store).attributes["enduser.id"] == pseudonym(MAIL)
    assert store.erase("p", MAIL) == 1


def test_what_there_is_no_room_for_is_refused_in_words(store: SpanStore) -> None:
    store.add("p", [Spans(Origin(), [Span(trace=TRACE, id="00000000000000aa", name="earlier")])])

    taken = taken_in(store, most=1)

    assert (taken.taken, taken.refused) == (0, 1)
    assert "otel.ingest_mb" in taken.why
    assert store.count() == 1


def test_a_project_that_fills_the_store_leaves_others_their_share(store: SpanStore) -> None:
    store.add("loud", [Spans(Origin(), [Span(trace=TRACE, id=SPAN, name="x" * 3_000)])])

    assert not store.has_room("loud", 3_000)
    assert taken_in(store, most=3_000).taken == 1


@pytest.mark.parametrize(
    "user", ["12345678909", BARE, "+55 11 98765-4321", "4111111111111111", 4_111_111_111_111_111]
)
@pytest.mark.parametrize("name", ["user.id", "enduser.id"])
def test_a_user_whose_name_is_a_number_can_still_be_erased(
    store: SpanStore, user: str | int, name: str
) -> None:
    taken_in(store, attributes={name: user})

    assert store.erase("p", str(user)) == 1
