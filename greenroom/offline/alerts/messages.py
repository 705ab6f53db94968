"""What people and programs are told of alerts: JSON for webhooks, Slack's form, mail. Knows no sockets.

Texts come from configurations and counts, never from prompts; whatever a receiver would obey in them
(mentions, links, markup, header lines) is taken apart all the same.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from hashlib import sha256

import msgspec

from greenroom.errors import ConfigError
from greenroom.store.deliveries import Due

MOST_SHOWN = 20
"""Alerts that a message tells one by one."""
LEAST_SECRET = 24
"""Bytes of a secret that signs; the Standard Webhooks specification asks for 24 to 64."""
_MARKS = {"critical": "🔴", "warning": "🟠", "info": "🔵", "ended": "✅"}


def webhook(due: Sequence[Due], base: str | None, now: datetime) -> bytes:
    """The body of a webhook: every alert of the message with all that is known of it."""
    alerts = [
        {
            "id": one.event.id,
            "alert": one.alert.id,
            "event": one.event.what,
            "reminder": one.times > 0,
            "rule": one.alert.rule,
            "kind": one.alert.kind,
            "project": one.alert.project,
            "subject": one.alert.subject,
            "severity": one.event.severity,
            "summary": one.event.summary,
            "figures": one.alert.figures,
            "url": link(base, one),
            "opened_at": moment(one.alert.opened_ns),
            "ended_at": None if one.alert.ended_ns is None else moment(one.alert.ended_ns),
        }
        for one in due
    ]
    return msgspec.json.encode({"type": "alerts", "timestamp": now.isoformat(), "data": {"alerts": alerts}})


def signed(body: bytes, id: str, at_s: int, secret: bytes) -> dict[str, str]:
    """The headers by which a receiver knows who sent a body, and when.

    HMAC-SHA256 over `id.timestamp.body`, as the Standard Webhooks specification
    (https://www.standardwebhooks.com) has it, so that its libraries verify it.
    """
    digest = hmac.new(secret, f"{id}.{at_s}.".encode() + body, sha256).digest()
    return {
        "Webhook-Id": id,
        "Webhook-Timestamp": str(at_s),
        "Webhook-Signature": f"v1,{b64encode(digest).decode()}",
    }


def secret_of(text: str, where: str) -> bytes:
    """A secret as it signs: `whsec_` and base64, or its bytes as they are. Raises: ConfigError."""
    text = text.strip()
    try:
        found = b64decode(text[6:], validate=True) if text.startswith("whsec_") else text.encode()
    except (NotBase64, ValueError):
        raise ConfigError(f"{where}: after 'whsec_' the secret must be base64.") from None
    if len(found) < LEAST_SECRET:
        raise ConfigError(f"{where}: the secret is shorter than {LEAST_SECRET} bytes. Make one at random.")
    return found


def slack(due: Sequence[Due], base: str | None) -> bytes:
    """The body that Slack's incoming webhooks take, and those of many others: one text."""
    lines = [_slack_line(one, base) for one in due[:MOST_SHOWN]]
    if len(due) > MOST_SHOWN:
        lines.append(f"… and {len(due) - MOST_SHOWN} more.")
    return msgspec.json.encode({"text": "\n".join(lines)})


def _slack_line(one: Due, base: str | None) -> str:
    url = link(base, one)
    head = f"{_mark(one)} *{_slack_text(title(one))}*"
    return f"{head}\n{_slack_text(one.event.summary)}" + (f" <{url}|Look>" if url else "")


def _slack_text(text: str) -> str:
    """`&`, `<` and `>` as Slack wants them; a mention is broken, as are marks that would make words bold."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("@", "@\u200b").replace("*", "∗").replace("`", "'")


def mail(due: Sequence[Due], base: str | None, sender: str, to: Sequence[str], now: datetime) -> EmailMessage:
    """A plain-text mail."""
    message = EmailMessage()
    first = due[0]
    more = f" (and {len(due) - 1} more)" if len(due) > 1 else ""
    message["Subject"] = f"[Greenroom] {title(first)}{more}"[:200]
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office notes, please
    parts = [_mail_part(one, base) for one in due[:MOST_SHOWN]]
    if len(due) > MOST_SHOWN:
        parts.append(f"… and {len(due) - MOST_SHOWN} more.")
    message.set_content("\n\n".join(parts) + "\n")
    return message


def _mail_part(one: Due, base: str | None) -> str:
    lines = [title(one), one.event.summary]
    lines += [f"  {name}: {value:g}" for name, value in one.alert.figures.items()]
    lines.append(f"Since {moment(one.alert.opened_ns)}")
    if one.alert.ended_ns is not None:
        lines.append(f"Until {moment(one.alert.ended_ns)}")
    url = link(base, one)
    return "\n".join([*lines, url] if url else lines)


def title(one: Due) -> str:
    """What happened to which alert: "warning: failures, app support"."""
    state = "over" if one.event.what == "ended" else one.event.severity
    still = "still " if one.times else ""
    about = [one.alert.rule, *filter(None, (one.alert.subject, one.alert.project))]
    return f"{still}{state}: {', '.join(about)}"


def link(base: str | None, one: Due) -> str | None:
    """Where people look at it; None where nobody said where this server is."""
    return None if base is None else f"{base.rstrip('/')}/alerts/{one.alert.id}"


def moment(ns: int) -> str:
    """ISO 8601, in UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="seconds")


def _mark(one: Due) -> str:
    return _MARKS["ended" if one.event.what == "ended" else one.event.severity]
