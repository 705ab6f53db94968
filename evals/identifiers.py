"""Personal data and secrets, made up with right check digits, in sentences of three languages."""

import string
from collections.abc import Callable, Iterator
from random import Random

_NAMES = {
    "en": ("olivia.hart", "j_mason", "kate.brown"), "pt": ("joao.souza", "m_ferreira", "ana.lima"),
    "es": ("lucia.gomez", "p_ortega", "diego.ruiz"),
}  # fmt: skip
_HOSTS = ("example.com", "mail.example.org", "correo.example.es", "provedor.example.com.br")
_KEY = string.ascii_letters + string.digits


def _digits(random: Random, count: int) -> list[int]:
    return [random.randint(0, 9) for _ in range(count)]


def _cpf_digits(random: Random) -> str:
    found = _digits(random, 9)
    for _ in range(2):
        rest = sum(one * weight for one, weight in zip(found, range(len(found) + 1, 1, -1), strict=True)) % 11
        found.append(0 if rest < 2 else 11 - rest)
    return "".join(map(str, found))


def cpf(random: Random) -> str:
    """Brazil's number of a person."""
    one = _cpf_digits(random)
    return f"{one[:3]}.{one[3:6]}.{one[6:9]}-{one[9:]}"


def cnpj(random: Random) -> str:
    """Brazil's number of a company."""
    found = [*_digits(random, 8), 0, 0, 0, 1]
    for weights in ((5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2), (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)):
        rest = sum(one * weight for one, weight in zip(found, weights, strict=True)) % 11
        found.append(0 if rest < 2 else 11 - rest)
    one = "".join(map(str, found))
    return f"{one[:2]}.{one[2:5]}.{one[5:8]}/{one[8:12]}-{one[12:]}"


def card(random: Random) -> str:
    """A card's number, by Luhn."""
    found = [4, *_digits(random, 14)]
    total = sum(sum(divmod(2 * one, 10)) if at % 2 == 0 else one for at, one in enumerate(found))
    one = "".join(map(str, [*found, -total % 10]))
    return random.choice((one, " ".join(one[at : at + 4] for at in range(0, 16, 4))))


def iban(random: Random) -> str:
    """Spain's form of an account's number."""
    account = "".join(map(str, _digits(random, 20)))
    check = 98 - int(account + "142800") % 97
    one = f"ES{check:02d}{account}"
    return random.choice((one, " ".join(one[at : at + 4] for at in range(0, 24, 4))))


def nif(random: Random) -> str:
    """Spain's number of a citizen (DNI)."""
    number = random.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def nie(random: Random) -> str:
    """Spain's number of a foreigner."""
    first, number = random.randint(0, 2), random.randint(1_000_000, 9_999_999)
    letter = "TRWAGMYFPDXBNJZSQVHLCKE"[(first * 10_000_000 + number) % 23]
    return f"{'XYZ'[first]}{number}{letter}"


def ssn(random: Random) -> str:
    """The United States' number of a person."""
    return f"{random.randint(101, 665):03d}-{random.randint(10, 99)}-{random.randint(1001, 9999)}"


def email(random: Random, language: str) -> str:
    """An address."""
    return f"{random.choice(_NAMES[language])}{random.randint(1, 999)}@{random.choice(_HOSTS)}"


def phone(random: Random, language: str) -> str:
    """A number as people write it there."""
    end = f"{random.randint(1000, 9999)}"
    if language == "en":
        return f"({random.randint(201, 989)}) {random.randint(220, 989)}-{end}"
    if language == "pt":
        return f"(11) 9{random.randint(1000, 9999)}-{end}"
    return f"+34 6{random.randint(10, 99)} {random.randint(100, 999)} {random.randint(100, 999)}"


def _key(random: Random, count: int) -> str:
    return "".join(random.choice(_KEY) for _ in range(count))


_SENTENCES = {
    "en": {
        "email": "You can write to me at {}.", "phone": "My phone number is {}.",
        "card": "Charge it to my card {}.",
        "iban": "Pay it back to my account {}.", "ssn": "My social security number is {}.",
        "key": "I use the API key {} for this.", "token": "The repository's token is {}.",
    },
    "pt": {
        "email": "Pode escrever para {}.", "phone": "Meu telefone é {}.", "card": "Cobre no meu cartão {}.",
        "cpf": "Meu CPF é {}.", "cnpj": "O CNPJ da minha empresa é {}.",
        "key": "Uso a chave de API {} para isso.", "token": "O token do repositório é {}.",
    },
    "es": {
        "email": "Me puede escribir a {}.", "phone": "Mi teléfono es {}.", "card": "Cóbrelo a mi tarjeta {}.",
        "iban": "Devuélvalo a mi cuenta {}.", "nif": "Mi DNI es {}.", "nie": "Mi NIE es {}.",
        "key": "Uso la clave de API {} para esto.", "token": "El token del repositorio es {}.",
    },
}  # fmt: skip
_MAKERS: dict[str, Callable[[Random, str], str]] = {
    "email": email,
    "phone": phone,
    "card": lambda random, _: card(random),
    "iban": lambda random, _: iban(random),
    "cpf": lambda random, _: cpf(random),
    "cnpj": lambda random, _: cnpj(random),
    "nif": lambda random, _: nif(random),
    "nie": lambda random, _: nie(random),
    "ssn": lambda random, _: ssn(random),
    "key": lambda random, _: "sk-proj-" + _key(random, 40),
    "token": lambda random, _: "ghp_" + _key(random, 36),
}


def planted(random: Random, language: str) -> Iterator[tuple[str, str, str]]:
    """One of each kind that people of this language have: kind, value, and the sentence it stands in."""
    for kind, sentence in _SENTENCES[language].items():
        value = _MAKERS[kind](random, language)
        yield kind, value, sentence.format(value)
