"""Files of requests: what is wrong with them is told by line, whatever lies in them."""

import json
import tracemalloc
from pathlib import Path

import pytest

from greenroom.offline.batches import input as given
from greenroom.offline.batches.input import Checked, check, numbered, some

URL = "/v1/chat/completions"
LIMIT = 10_000


def line(number: object = 1, **changes: object) -> bytes:
    whole = {"custom_id": f"c{number}", "method": "POST", "url": URL, "body": {"model": "m"}, **changes}
    return json.dumps(whole).encode()


def checked(path: Path, data: bytes, limit: int = LIMIT) -> Checked:
    path.write_bytes(data)
    return check(path, URL, limit)


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[]", "invalid_json_line", None),
        (b"null", "invalid_json_line", None),
        (b'"text"', "invalid_json_line", None),
        (b"\xff\xfe{\x00}\x00", "invalid_json_line", None),
        (b'{"custom_id": "\xff"}', "invalid_json_line", None),
        (line(1) + b" " + line(2), "invalid_json_line", None),
        (b"[" * 9_000, "invalid_json_line", None),
        (b'{"custom_id": "a", "body": ' + b"[" * 9_000, "invalid_json_line", None),
        (b"{}", "missing_required_parameter", "custom_id"),
        (b'{"custom_id": "a", "method": "POST", "url": "u"}', "missing_required_parameter", "body"),
        (line(custom_id=7), "invalid_type", "custom_id"),
        (line(custom_id=None), "invalid_type", "custom_id"),
        (line(custom_id=""), "invalid_custom_id", "custom_id"),
        (line(custom_id="a" * 513), "invalid_custom_id", "custom_id"),
        (line(method="GET"), "invalid_method", "method"),
        (line(method="post"), "invalid_method", "method"),
        (line(url="/v1/embeddings"), "invalid_url", "url"),
        (line(url="http://127.0.0.1/v1/chat/completions"), "invalid_url", "url"),
        (line(body=[]), "invalid_body", "body"),
        (line(body="x"), "invalid_body", "body"),
        (line(body=None), "invalid_body", "body"),
        (line(body={"model": 1}), "invalid_body", "body.model"),
        (line(body={"model": "m", "stream": True}), "unsupported_value", "body.stream"),
        (line(body={"model": "m", "background": True}), "unsupported_value", "body.background"),
        (line(body={"text": "a" * LIMIT}), "line_too_long", None),
    ],
)
def test_a_faulty_line_is_told_by_its_number(
    tmp_path: Path, bad: bytes, code: str, param: str | None
) -> None:
    found = checked(tmp_path / "f", line("before") + b"\n" + bad + b"\n" + line("after"))

    (error,) = found.errors
    assert (error["line"], error["code"], error["param"]) == (2, code, param)
    assert 10 < len(error["message"]) < 200
    assert found.total == 3


@pytest.mark.parametrize("data", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_a_file_without_lines_is_empty(tmp_path: Path, data: bytes) -> None:
    assert [one["code"] for one in checked(tmp_path / "f", data).errors] == ["empty_file"]


def test_a_mark_at_the_start_blank_lines_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + line(1) + b"\r\n\r\n" + line(2) + b"\n \n" + line(3)

    found = checked(tmp_path / "f", data)

    assert (found.total, found.errors) == (3, [])
    assert [number for number, _ in numbered(tmp_path / "f")] == [1, 3, 5]


def test_the_same_id_twice_is_told_at_the_second(tmp_path: Path) -> None:
    found = checked(tmp_path / "f", b"\n".join([line("é"), line("e"), line("é")]))

    assert [(one["line"], one["code"]) for one in found.errors] == [(3, "duplicate_custom_id")]


def test_the_look_ends_after_a_hundred_faults(tmp_path: Path) -> None:
    assert len(checked(tmp_path / "f", b"{\n" * 5_000).errors) == 100


def test_too_many_lines_and_too_large_a_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"\n".join(line(number) for number in range(6))

    monkeypatch.setattr(given, "MOST_LINES", 5)
    many = checked(tmp_path / "f", data)
    monkeypatch.setattr(given, "MOST_BYTES", 100)
    large = checked(tmp_path / "f", data)

    assert [one["code"] for one in (*many.errors, *large.errors)] == ["too_many_lines", "file_too_large"]


def test_each_model_is_told_with_the_first_line_that_names_it(tmp_path: Path) -> None:
    data = b"\n".join([line(1), line(2, body={"model": "n"}), line(3), line(4, body={})])

    assert checked(tmp_path / "f", data).models == {"m": 1, "n": 2, None: 4}


def test_memory_holds_a_line_and_not_the_file(tmp_path: Path) -> None:
    path, text = tmp_path / "f", "a" * 100_000
    path.write_bytes(b"\n".join(line(number, body={"model": "m", "t": text}) for number in range(300)))

    tracemalloc.start()
    found = check(path, URL, 200_000)
    lines, count = numbered(path), 0
    while read := some(lines):
        count += len(read)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (found.total, found.errors, count) == (300, [], 300)
    assert peak < 5_000_000 < path.stat().st_size / 5
