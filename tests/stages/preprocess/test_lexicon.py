"""The files of words: what they know, and how a broken one is met."""

from pathlib import Path

import pytest
from marisa_trie import Trie  # type: ignore[import-not-found]  # compiled, has no stubs

from greenroom.stages.preprocess.lexicon import Lexicon, key_of, lexicon, pack, plain, reformed, shorter


@pytest.mark.parametrize(
    ("code", "usual", "rarer"),
    [("en", "house", "perspicacious"), ("pt", "também", "sobrancelha"), ("es", "también", "madreselva")],
)
def test_words_are_known_with_their_frequency(code: str, usual: str, rarer: str) -> None:
    words = lexicon(code)

    assert usual in words
    assert words.is_proper(rarer)
    assert words.zipf(usual) > words.zipf(rarer) > 0
    assert words.zipf("qwrtzp") == -1.0
    assert not words.is_proper("qwrtzp")


@pytest.mark.parametrize("word", ["colour", "color", "organise", "organize"])
def test_both_spellings_of_english_are_words(word: str) -> None:
    assert lexicon("en").is_proper(word)


@pytest.mark.parametrize("word", ["fato", "facto", "ônibus", "autocarro", "polícia", "acções"])
def test_portuguese_of_both_shores_is_known(word: str) -> None:
    assert word in lexicon("pt")


@pytest.mark.parametrize(
    ("code", "key", "word"),
    [("en", "adres", "address"), ("pt", "informacao", "informação"), ("es", "tambien", "también")],
)
def test_words_are_found_by_what_they_share_with_their_slips(code: str, key: str, word: str) -> None:
    assert word in lexicon(code).sharing({key})


def test_keys_have_no_accents_no_doubled_letters_and_no_apostrophes() -> None:
    assert key_of("address") == "adres"
    assert key_of("informação") == "informacao"
    assert key_of("don't") == "dont"
    assert plain("pingüino") == "pinguino"
    assert shorter("abc") == {"bc", "ac", "ab"}


def test_older_portuguese_is_brought_to_the_newer_spelling() -> None:
    assert "ações" in reformed("acções")
    assert "ideia" in reformed("idéia")
    assert reformed("casa") == set()


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    Trie(["word"]).save(str(tmp_path / "xx.marisa"))
    (tmp_path / "xx.edits").write_bytes(b"????" + pack(b"\x10", {"word": [0]})[4:])

    with pytest.raises(ValueError, match="no lexicon of this version"):
        Lexicon(tmp_path, "xx")


def test_what_is_packed_is_read_again(tmp_path: Path) -> None:
    trie = Trie(["one", "two", "three"])
    trie.save(str(tmp_path / "xx.marisa"))
    classes = bytearray(3)
    classes[trie.key_id("two")] = 30
    keys = {key: [trie.key_id("two")] for key in ("two", *shorter("two"))}
    (tmp_path / "xx.edits").write_bytes(pack(bytes(classes), keys))

    words = Lexicon(tmp_path, "xx")

    assert words.sharing({"to"}) == {"two": 2.0}
    assert words.sharing({"one"}) == {}
