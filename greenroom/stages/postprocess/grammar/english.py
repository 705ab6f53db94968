"""Faults of English that can be told without a parser. Harper knows more, where it is asked for."""

import re

from greenroom.stages.postprocess.grammar.rules import rule

_VOWEL = re.compile("[aeiou]|hour|honest|hono|heir", re.IGNORECASE).match
_NO_VOWEL = re.compile(
    "uni(?![mnd])|us[aeu]|uti|uto|ura|uk|eu|ew|on(?:e|ce)(?![a-z])|one-|ubi|usb|ur[li](?![a-z])|uuid",
    re.IGNORECASE,
).match
"""Written with a vowel, said with a consonant."""
_UNSURE = re.compile(
    "herb|historic|hotel|homage|sql|ssh|llm|html|rss|xml|mri|faq|sms|http|npm|nft|ftp|hr", re.IGNORECASE
)
_SMALL = frozenset(
    [
        "and",
        "or",
        "is",
        "are",
        "in",
        "of",
        "as",
        "at",
        "if",
        "it",
        "on",
        "an",
        "to",
        "into",
        "e",
        "about",
        "un",
        "una",
        "al",
    ]
)
"""What may follow a letter that is a name: «a and b»."""


def _article(match: re.Match[str]) -> str | None:
    article, space, word = match[1], match[2], match[3]
    if word in _SMALL or word[0].isupper() or _UNSURE.match(word):
        return None
    wants_an = _VOWEL(word) is not None and _NO_VOWEL(word) is None
    if wants_an == (article.lower() == "an"):
        return None
    return ("an" if wants_an else "a") + space + word


def _than(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}than{match[3]}"


RULES = (
    rule("article", "a |an ", r"(an?)( )([a-z]{2,})", _article, "a before a consonant's sound, an before a vowel's"),
    rule("have", "could|would|should|might|must", r"((?:could|would|should|might|must)(?:n't)?) of(?= (?!course)[a-z]+)", r"\1 have", "«have», as heard in «could've»"),
    rule("a_lot", "alot", r"alot", "a lot", "two words"),
    rule("youre", "your welcome", r"your welcome(?=[ ]*(?:[.,!;:]|$))", "you're welcome", "«you are welcome»"),
    rule("its_own", "it's own", r"it's own", "its own", "the possessive has no apostrophe"),
    rule("irregardless", "irregardless", r"irregardless", "regardless", "the word is «regardless»"),
    rule("more_better", "more better|more worse|more easier|more faster|more cheaper|more bigger|more smaller", r"more (better|worse|easier|faster|cheaper|bigger|smaller)", r"\1", "one comparative is enough"),
    rule("than", "more then |less then |rather then |greater then |larger then |smaller then |higher then |lower then |faster then |slower then |cheaper then |fewer then ", r"(more|less|rather|greater|larger|smaller|higher|lower|faster|slower|cheaper|fewer)( )then( (?:the|a|an|any|it|its|that|this|those|what|one|two|your|our|their|his|her|other|most|before|ever|expected|usual)\b)", _than, "comparisons take «than»"),
    rule("does_not", "he don't|she don't|it don't", r"(he|she|it) don't", r"\1 doesn't", "third person"),
    rule("there_are", "there is |there's ", r"there(?: is|'s) (many|several|few) ([a-z]+s)", r"there are \1 \2", "plural"),
    rule("used_to", "i use to |we use to |they use to |he use to |she use to |it use to |you use to ", r"(I|we|they|he|she|it|you) use to (be|have|do|go|work|live|play|think)", r"\1 used to \2", "past habit"),
    rule("supposed_to", "suppose to", r"(?:(?<=am )|(?<=is )|(?<=are )|(?<=was )|(?<=were )|(?<='m )|(?<='s )|(?<='re ))suppose to", "supposed to", "participle"),
    rule("for_granted", "take |taken |takes |taking |took ", r"(take|taken|takes|taking|took) (it |this |that |them )?for granite", r"\1 \2for granted", "the phrase is «for granted»"),
    rule("intents", "for all intensive", r"for all intensive purposes", "for all intents and purposes", "the phrase is «intents and purposes»"),
    rule("each_other", "eachother", r"eachother", "each other", "two words"),
    rule("aswell", "aswell", r"aswell", "as well", "two words"),
    rule("infact", "infact", r"infact", "in fact", "two words"),
    rule("did_past", "did not |didn't ", r"(did not|didn't) (went|saw|came|knew|had|took|got|made|gave|wrote|thought)", lambda found: f"{found[1]} {_BASE[found[2].lower()]}", "after «did» the verb stays as it is"),
    rule("less_many", "informations|advices|furnitures|equipments|softwares|homeworks|feedbacks", r"(information|advice|furniture|equipment|software|homework|feedback)s", r"\1", "has no plural"),
)  # fmt: skip

_BASE: dict[str, str] = {
    "went": "go", "saw": "see", "came": "come", "knew": "know", "had": "have", "took": "take", "got": "get",
    "made": "make", "gave": "give", "wrote": "write", "thought": "think",
}  # fmt: skip
