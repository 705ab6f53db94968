"""Whatever is sent, time grows with the length and no faster."""

from time import process_time

import pytest

from greenroom.contracts import Detector
from greenroom.stages.check.pii import PiiDetector
from greenroom.stages.check.secrets import SecretDetector

DETECTORS = [pytest.param(PiiDetector(), id="pii"), pytest.param(SecretDetector(), id="secrets")]
PARTS = {
    "digits": "1", "at signs": "@", "a mail that never ends": "a@", "numbers": "123 ", "short numbers": "1 ", "names": "my name is ",
    "capitals": "Aa ", "streets": "Rua A ", "births": "born ", "colons": "a:", "invisible": "\u200b", "invisible between": "1\u200b",
    "full width": "\uff11", "names of keys": "token=", "values": "token=a1b2c3d4e5f6", "passwords": "password is ",
    "addresses": "a://b:ccc1@d", "key heads": "-----BEGIN PRIVATE KEY-----AAAAAAAAAAAAAAAAAAAAAAAA", "prefixes": "sk-ant-api03-",
    "jwt": "eyJhbGciOiAi.", "houses": "1 Aaaa ", "subjects": "Ab lives at ", "brackets": "(1", "emoji": "\U0001f469\u200d",
}  # fmt: skip


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
def test_hostile_texts_take_linear_time(detector: Detector, part: str) -> None:
    text = (part * (100_000 // len(part) + 1))[:100_000]
    detector.find(text[:1000])

    start = process_time()
    detector.find(text)
    took_s = process_time() - start

    assert took_s < 3.0


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_megabyte_of_one_letter_takes_no_time(detector: Detector) -> None:
    start = process_time()

    assert detector.find("a" * 1_000_000) == []

    assert process_time() - start < 0.5
