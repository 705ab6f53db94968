import pytest

from greenroom.contracts import Finding
from greenroom.stages.check.candidate import join
from greenroom.stages.check.secrets import SecretDetector
from greenroom.stages.check.vendors import VENDORS
from tests.stages.check.requests import made_up

DETECTOR = SecretDetector()
HEX = "0123456789abcdef"


def found(text: str) -> list[Finding]:
    return join(DETECTOR.find(text), text)


@pytest.mark.parametrize(
    ("label", "token"),
    [
        ("AWS_ACCESS_KEY", "AKIA" + made_up(1, 16, "ABCDEFGHIJKLMNOP234567")),
        ("OPENAI_KEY", "sk-proj-" + made_up(2, 150)),
        ("ANTHROPIC_KEY", "sk-ant-api03-" + made_up(3, 93) + "AA"),
        ("GITHUB_TOKEN", "ghp_" + made_up(4, 36)),
        ("GITHUB_TOKEN", "github_pat_" + made_up(5, 22) + "_" + made_up(6, 59)),
        ("GITLAB_TOKEN", "glpat-" + made_up(7, 20)),
        ("SLACK_TOKEN", "xoxb-280943528629-067931433385-" + made_up(8, 24)),
        ("STRIPE_KEY", "sk_live_" + made_up(9, 24)),
        ("SENDGRID_KEY", "SG." + made_up(10, 22) + "." + made_up(11, 43)),
        ("NPM_TOKEN", "npm_" + made_up(12, 36)),
        ("PYPI_TOKEN", "pypi-AgEIcHlwaS5vcmc" + made_up(13, 60)),
        ("HF_TOKEN", "hf_" + made_up(14, 34)),
        ("GOOGLE_API_KEY", "AIza" + made_up(15, 35)),
        ("TELEGRAM_TOKEN", "7426968599:AA" + made_up(16, 33)),
        ("TWILIO_KEY", "SK" + made_up(17, 32, HEX)),
        ("MERCADOPAGO_TOKEN", "APP_USR-5026318302089562-251735-" + made_up(18, 32, HEX) + "-447460795"),
        ("JWT", "eyJ" + made_up(19, 33) + ".eyJ" + made_up(20, 200) + "." + made_up(21, 43)),
    ],
)
@pytest.mark.parametrize("frame", ["see {} here", 'key="{}"', "export TOKEN={}", "({}).", "chave: {}, ok"])
def test_a_vendors_token_is_found_whole_in_any_frame(frame: str, label: str, token: str) -> None:
    text = frame.format(token)

    assert [(one.label, text[one.start : one.end]) for one in found(text)] == [(label, token)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("my password is hunter2", "hunter2"),
        ("Password: Tr0ub4dor&3", "Tr0ub4dor&3"),
        ("senha do wifi é banana123!", "banana123!"),
        ("mi contraseña es Gato2024!", "Gato2024!"),
        ("DB_PASS='s3cr3tP@ss'", "s3cr3tP@ss"),
        ('{"client_secret": "aB3dE5fG7hI9jK1lM3nO"}', "aB3dE5fG7hI9jK1lM3nO"),
        ('{\\"api_key\\": \\"aB3dE5fG7hI9jK1lM3nO\\"}', "aB3dE5fG7hI9jK1lM3nO"),
        ("api-key: 3f2504e04f8911d39a0c0305e82c3301", "3f2504e04f8911d39a0c0305e82c3301"),
        ("Authorization: Bearer 8fd7a6c5b4e3d2f1a0b9c8d7", "8fd7a6c5b4e3d2f1a0b9c8d7"),
        ("Server=db;User Id=sa;Password=Str0ng!Pass;", "Str0ng!Pass"),
        ("use redis://:p4ssW0rd9@cache.internal:6379/0 now", "redis://:p4ssW0rd9@cache.internal:6379/0"),
    ],
)
def test_a_value_that_its_name_gives_away_is_found(text: str, value: str) -> None:
    assert [text[one.start : one.end] for one in found(text)] == [value]


@pytest.mark.parametrize(
    "text",
    [
        "password = os.getenv('PW')",
        "password: ${DB_PASSWORD}",
        "token = get_token(user)",
        "the token count is 1234567",
        "max_tokens: 4096",
        "password_hash = 'aB3dE5fG7hI9jK1lM3nO'",
        "api_key = 'YOUR_API_KEY'",
        "api_key=sk-...",
        "PASSWORD=changeme",
        "Your password is required",
        "a chave é simples",
        "password: min 8 characters, 1 uppercase",
        "Authorization: Bearer $TOKEN",
        "see AKIAIOSFODNN7EXAMPLE in the docs",
        "ghp_" + "x" * 36,
        "sha256:8e8793a288aa06b256b613356d3fcd85e720aa1260806445b05348b6c0d3933f",
        "git_sha = 48f720f35c2122556ae69ccdb0c054f7df853df8",
        "token: 947cc93f-6201-473f-a044-8bd31882e455",
        "authorized_key = ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
        "postgres://user:password@localhost/db",
        "https://shop.test/p/yQnFydfdGd7Y41oa5m?utm=W0YVbBeC",
        "el token es válido por 24 horas",
        "passenger: John12345",
        "-----BEGIN PRIVATE KEY----- is how such a file begins",
        "",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(text: str) -> None:
    assert DETECTOR.find(text) == []


def test_a_private_key_is_one_finding_from_head_to_foot() -> None:
    body = "\n".join(made_up(seed, 64) for seed in range(12))
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\nAb3=\n-----END RSA PRIVATE KEY-----"
    text = f"use this:\n{key}\nthanks"

    (one,) = found(text)

    assert (one.label, text[one.start : one.end]) == ("PRIVATE_KEY", key)


def test_a_private_key_within_json_is_found_whole() -> None:
    key = "-----BEGIN PRIVATE KEY-----\\n" + made_up(1, 200) + "\\n-----END PRIVATE KEY-----"
    text = '{"private_key": "' + key + '"}'

    assert [text[one.start : one.end] for one in found(text)] == [key]


def test_pieces_of_a_long_secret_are_short_and_leave_no_gap() -> None:
    text = "sk-proj-" + made_up(1, 400)

    findings = DETECTOR.find(text)

    assert all(one.end - one.start <= 96 for one in findings)
    assert [one.end for one in findings[:-1]] == [one.start for one in findings[1:]]


def test_two_secrets_side_by_side_stay_two() -> None:
    text = f"ghp_{made_up(1, 36)} ghp_{made_up(2, 36)}"

    assert len(found(text)) == 2


def test_a_disguised_token_is_found() -> None:
    token = "ghp_" + made_up(1, 36)

    (one,) = found(f"see {token[:9]}\u200b{token[9:]} here")

    assert (one.start, one.end) == (4, 4 + len(token) + 1)


def test_every_vendor_has_a_rule_and_a_label_that_can_be_a_mask() -> None:
    assert all(one.rule.startswith("secret.") and one.label.replace("_", "").isalnum() for one in VENDORS)
