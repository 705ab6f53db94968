"""Files from a scripted hub over real TLS: whole, resumed, refused, and what is left when it goes wrong."""

import fcntl
import hashlib
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from greenroom.errors import (
    Conflict,
    GreenroomError,
    RequestError,
    StoreError,
    UpstreamDisconnected,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamTLS,
    UpstreamUnreachable,
)
from greenroom.models import download
from greenroom.models.download import Download, Fetched
from tests.faults.certificates import OPENSSL, Certificate, make_certificate
from tests.models import tiny_gguf
from tests.models.hub import Answer, Hub, Visit, cut, folder_of, whole

pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl makes the certificates of these tests")

DATA = tiny_gguf.content()
SHA = hashlib.sha256(DATA).hexdigest()
TAG = '"first"'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls") / "own")


class Room(NamedTuple):
    """Where a download goes, and what trusts the hub."""

    folder: Path
    certificate: Certificate

    @property
    def path(self) -> Path:
        return self.folder / "tiny.gguf"

    @property
    def part(self) -> Path:
        return self.folder / "tiny.gguf.part"

    def hub(self, *answers: Answer) -> Hub:
        return Hub(self.certificate, *answers)

    def fetch(self, url: str, **options: Any) -> Fetched:  # Any: keywords of Download
        made = Download(url, self.path, context=self.certificate.trusting(), first_pause_s=0.001, **options)
        return made.run()


@pytest.fixture
def room(tmp_path: Path, certificate: Certificate) -> Room:
    return Room(tmp_path / "models", certificate)


def test_a_file_comes_whole_and_its_checksum_is_computed(room: Room) -> None:
    told: list[tuple[int, int | None]] = []
    with room.hub(whole(DATA)) as hub:
        fetched = room.fetch(hub.url(), tell=lambda done, total: told.append((done, total)))

    assert room.path.read_bytes() == DATA
    assert fetched.sha256 == SHA
    assert fetched.checked_against is None
    assert (fetched.head.architecture, fetched.head.parameters) == ("llama", tiny_gguf.parameters())
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    assert folder_of(room.folder) == ["tiny.gguf"]


def test_a_connection_that_breaks_is_gone_on_with_in_the_same_run(room: Room) -> None:
    with room.hub(cut(DATA, 50_000, ETag=TAG), whole(DATA, ETag=TAG)) as hub:
        room.fetch(hub.url(), sha256=SHA)

    assert room.path.read_bytes() == DATA
    _, headers = hub.visits[1]
    assert (headers["Range"], headers["If-Range"]) == ("bytes=50000-", TAG)


def test_an_interrupted_download_is_gone_on_with_by_the_next_command(room: Room) -> None:
    with room.hub(cut(DATA, 50_000, ETag=TAG)) as hub, pytest.raises(UpstreamDisconnected) as raised:
        room.fetch(hub.url())
    assert "50,000 bytes are here" in str(raised.value)
    assert len(hub.visits) == download.TRIES
    assert room.part.read_bytes() == DATA[:50_000]

    port = hub.server_address[1]
    with room.hub(whole(DATA, ETag=TAG)) as again:
        note = room.folder / "tiny.part.json"
        note.write_text(note.read_text().replace(str(port), str(again.server_address[1])))
        fetched = room.fetch(again.url(), sha256=SHA)

    assert fetched.resumed_from == 50_000
    assert again.visits[0][1]["Range"] == "bytes=50000-"
    assert folder_of(room.folder) == ["tiny.gguf"]


def test_half_a_file_of_another_address_is_not_gone_on_with(room: Room) -> None:
    with room.hub(cut(DATA, 50_000, ETag=TAG)) as hub, pytest.raises(UpstreamDisconnected):
        room.fetch(hub.url("/other.gguf"))
    with room.hub(whole(DATA, ETag=TAG)) as again:
        fetched = room.fetch(again.url())

    assert fetched.resumed_from == 0
    assert "Range" not in again.visits[0][1]
    assert room.path.read_bytes() == DATA


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(lambda visit: visit.send(200, DATA, ETag='"second"'), id="whole-again"),
        pytest.param(
            lambda visit: visit.send(
                206, b"x" * 10, ETag='"second"', Content_Range=f"bytes {visit.begin}-9/{len(DATA)}"
            ),
            id="part-of-another",
        ),
        pytest.param(lambda visit: visit.send(416, Content_Range="bytes */7"), id="range-not-there"),
        pytest.param(
            lambda visit: visit.send(206, DATA[9:], ETag=TAG, Content_Range="bytes 9-"), id="other-place"
        ),
    ],
)
def test_a_file_that_changed_meanwhile_begins_again(room: Room, second: Callable[[Visit], None]) -> None:
    answers = (cut(DATA, 50_000, ETag=TAG), second, whole(DATA, ETag='"second"'))
    with room.hub(*answers) as hub:
        fetched = room.fetch(hub.url(), sha256=SHA)

    assert room.path.read_bytes() == DATA
    assert fetched.resumed_from == 0


def test_without_a_strong_tag_nothing_is_gone_on_with(room: Room) -> None:
    with room.hub(cut(DATA, 50_000, ETag='W/"weak"')) as hub, pytest.raises(UpstreamDisconnected):
        room.fetch(hub.url())
    with room.hub(whole(DATA)) as again:
        room.fetch(again.url())

    assert "Range" not in again.visits[0][1]


def test_a_download_that_only_missed_its_last_step_is_taken(room: Room) -> None:
    with room.hub(
        cut(DATA, 50_000, ETag=TAG), lambda visit: visit.send(416, Content_Range=f"bytes */{len(DATA)}")
    ) as hub:
        room.folder.mkdir()
        room.part.write_bytes(DATA)
        (room.folder / "tiny.part.json").write_text(f'{{"url":"{hub.url()}","etag":"\\"first\\""}}')
        hub.answers = hub.answers[1:]
        fetched = room.fetch(hub.url(), sha256=SHA)

    assert fetched.sha256 == SHA
    assert folder_of(room.folder) == ["tiny.gguf"]


def test_a_wrong_checksum_is_refused_and_nothing_stays(room: Room) -> None:
    with room.hub(whole(DATA)) as hub, pytest.raises(UpstreamProtocol) as raised:
        room.fetch(hub.url(), sha256="0" * 64)

    assert SHA in str(raised.value)
    assert "0" * 64 in str(raised.value)
    assert folder_of(room.folder) == []


def test_the_checksum_that_the_hub_names_on_the_way_is_held_to(room: Room) -> None:
    def leads_on(digest: str) -> Answer:
        return lambda visit: visit.send(302, Location="/blob", X_Linked_ETag=f'"{digest}"')

    with room.hub(leads_on(SHA), whole(DATA)) as hub:
        assert room.fetch(hub.url()).checked_against == "what the hub says"
    room.path.unlink()
    with (
        room.hub(leads_on("1" * 64), whole(DATA)) as hub,
        pytest.raises(UpstreamProtocol, match="the hub says"),
    ):
        room.fetch(hub.url())
    with room.hub(leads_on("1" * 64), whole(DATA)) as hub:
        assert room.fetch(hub.url(), sha256=SHA).checked_against == "what was given"


def _page(visit: Visit) -> None:
    visit.send(200, b"<!DOCTYPE html><title>Sign in</title>", kind="text/html")


def _other_head(**changed: bytes) -> bytes:
    return changed.get("magic", b"GGUF") + changed.get("version", struct.pack("<I", 3)) + changed["rest"]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        pytest.param(_page, UpstreamProtocol, "web page", id="html"),
        pytest.param(whole(b"<html>plain</html>"), UpstreamProtocol, "web page", id="html-as-bytes"),
        pytest.param(whole(b"version https://git-lfs.github.com/spec/v1\n"), UpstreamProtocol, "pointer", id="lfs"),
        pytest.param(whole(b"PK\3\4 and more"), UpstreamProtocol, "does not begin with 'GGUF'", id="zip"),
        pytest.param(whole(b"GG"), UpstreamProtocol, "cut off", id="two-bytes"),
        pytest.param(whole(DATA[:-1]), UpstreamProtocol, "cut off", id="one-byte-short"),
        pytest.param(whole(DATA[:300]), UpstreamProtocol, "cut off in its head", id="head-cut"),
        pytest.param(
            whole(_other_head(rest=struct.pack("<QQ", 1 << 60, 1))), UpstreamProtocol, "more tensors", id="claims"
        ),
        pytest.param(
            whole(_other_head(rest=struct.pack("<QQQ", 1, 1, 1 << 62))), UpstreamProtocol, "longer than", id="text"
        ),
        pytest.param(
            whole(_other_head(version=struct.pack(">I", 3), rest=bytes(16))), UpstreamProtocol, "version", id="order"
        ),
        pytest.param(whole(b""), UpstreamProtocol, "cut off", id="empty"),
        pytest.param(lambda visit: visit.send(404), UpstreamRefused, "no such file", id="missing"),
        pytest.param(lambda visit: visit.send(401), UpstreamRefused, "not open to everybody", id="gated"),
        pytest.param(lambda visit: visit.send(503), UpstreamRefused, "503", id="busy"),
        pytest.param(
            lambda visit: visit.send(302, Location="http://127.0.0.1/x"), UpstreamProtocol, "not https", id="to-http"
        ),
        pytest.param(lambda visit: visit.send(302), UpstreamProtocol, "more than 5", id="in-circles"),
        pytest.param(
            lambda visit: visit.send(302, Location="file:///etc/passwd"), UpstreamProtocol, "not https", id="to-file"
        ),
        pytest.param(whole(DATA, Content_Encoding="gzip"), UpstreamProtocol, "compressed", id="compressed"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_said_and_nothing_is_put_in_place(
    room: Room, answer: Answer, kind: type[GreenroomError], said: str
) -> None:
    with room.hub(answer) as hub, pytest.raises(kind, match=said):
        room.fetch(hub.url())

    assert not room.path.exists()
    assert not room.part.exists() or room.part.stat().st_size == 0


def test_what_goes_wrong_later_leaves_what_came_before(room: Room) -> None:
    with room.hub(cut(DATA, 50_000, ETag=TAG), _page) as hub, pytest.raises(UpstreamProtocol):
        room.fetch(hub.url())
    with room.hub(lambda visit: visit.send(404)) as gone:
        note = room.folder / "tiny.part.json"
        note.write_text(note.read_text().replace(hub.url(), gone.url()))
        with pytest.raises(UpstreamRefused):
            room.fetch(gone.url())

    assert room.part.read_bytes() == DATA[:50_000]


def test_a_size_that_is_not_the_expected_one_is_told_before_anything_comes(room: Room) -> None:
    with room.hub(whole(DATA)) as hub, pytest.raises(UpstreamProtocol, match="were expected"):
        room.fetch(hub.url(), size_bytes=5)


def test_a_full_disk_is_told_before_anything_comes(room: Room) -> None:
    free = shutil.disk_usage(room.folder.parent).free
    with (
        room.hub(lambda visit: visit.send(200, b"GGUF", length=free)) as hub,
        pytest.raises(StoreError, match="Make room"),
    ):
        room.fetch(hub.url())

    assert folder_of(room.folder) == []


def test_two_at_once_do_not_meet(room: Room) -> None:
    waiting, go_on = threading.Event(), threading.Event()

    def slow(visit: Visit) -> None:
        waiting.set()
        assert go_on.wait(10)
        whole(DATA)(visit)

    with room.hub(slow) as hub:
        first = threading.Thread(target=room.fetch, args=(hub.url(),))
        first.start()
        assert waiting.wait(10)
        with pytest.raises(Conflict, match="Another command"):
            room.fetch(hub.url())
        go_on.set()
        first.join()

    assert room.path.read_bytes() == DATA
    assert len(hub.visits) == 1


def test_a_lock_of_a_command_that_was_killed_does_not_stay(room: Room) -> None:
    room.folder.mkdir()
    with room.part.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
    with room.hub(whole(DATA)) as hub:
        room.fetch(hub.url())

    assert room.path.exists()


def test_a_certificate_that_nobody_vouches_for_is_refused(room: Room) -> None:
    with room.hub(whole(DATA)) as hub, pytest.raises(UpstreamTLS, match="not to be trusted"):
        Download(hub.url(), room.path).run()

    assert hub.visits == []


def test_nobody_there_is_told(room: Room) -> None:
    with room.hub(whole(DATA)) as hub:
        url = hub.url()
    with pytest.raises(UpstreamUnreachable, match="Try again later"):
        room.fetch(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x.gguf", "ftp://h/x", "https://", "https://u:p@h/x", "https://h/\n", "x", ""]
)
def test_addresses_that_are_not_plain_https_are_refused(room: Room, url: str) -> None:
    with pytest.raises(RequestError, match="https"):
        room.fetch(url)


def test_a_checksum_that_is_none_is_refused(room: Room) -> None:
    with pytest.raises(RequestError, match="64"):
        room.fetch("https://h/x", sha256="abc")
