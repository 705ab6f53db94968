"""Where alerts go: a webhook, one of Slack's form, a mail server. Blocks; its errors hold no secret."""

import logging
import smtplib
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol

from greenroom.errors import InfrastructureError
from greenroom.models.outside import TIME_S, Answered, post
from greenroom.offline.alerts import messages
from greenroom.offline.alerts.settings import ChannelConfig
from greenroom.store.deliveries import Due

log = logging.getLogger("greenroom.alerts")

JSON = {"Content-Type": "application/json"}


class NotTaken(InfrastructureError):
    """The receiver answered, and did not take the message."""

    def __init__(self, said: str, retry_after_s: float | None = None) -> None:
        super().__init__(said)
        self.retry_after_s = retry_after_s


class Channel(Protocol):
    """Somewhere messages go."""

    def send(self, due: Sequence[Due]) -> None:
        """Send one message about all of these. Raises: InfrastructureError; MalformedRequest."""
        ...


class Webhook:
    """A signed POST of JSON."""

    def __init__(self, url: str, secret: bytes, base: str | None, *, is_private_meant: bool) -> None:
        self._url, self._secret, self._base, self._private = url, secret, base, is_private_meant

    def send(self, due: Sequence[Due]) -> None:
        """As `Channel` says. The id is the same when the same is sent again."""
        now = time.time()
        body = messages.webhook(due, self._base, datetime.fromtimestamp(now, UTC))
        said = ",".join(f"{one.event.id}.{one.times}" for one in due)
        id = f"msg_{sha256(said.encode()).hexdigest()[:32]}"
        headers = {**JSON, **messages.signed(body, id, int(now), self._secret)}
        _check(post(self._url, body, headers, is_private_meant=self._private))


class Slack:
    """A POST of Slack's form."""

    def __init__(self, url: str, base: str | None, *, is_private_meant: bool) -> None:
        self._url, self._base, self._private = url, base, is_private_meant

    def send(self, due: Sequence[Due]) -> None:
        """As `Channel` says."""
        body = messages.slack(due, self._base)
        _check(post(self._url, body, JSON, is_private_meant=self._private))


class Mailbox:
    """A mail to several addresses, through a server that the configuration names."""

    def __init__(self, table: ChannelConfig, password: str | None, base: str | None) -> None:
        self._table, self._password, self._base = table, password, base

    def send(self, due: Sequence[Due]) -> None:
        """As `Channel` says. A certificate that is not trusted, or no TLS where it was wanted, ends it."""
        table = self._table
        assert table.host is not None
        assert table.sender is not None
        message = messages.mail(due, self._base, table.sender, table.to, datetime.now(UTC))
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        port = table.port or (465 if table.tls == "implicit" else 587)
        try:
            with (
                smtplib.SMTP_SSL(table.host, port, timeout=TIME_S, context=context)
                if table.tls == "implicit"
                else smtplib.SMTP(table.host, port, timeout=TIME_S)
            ) as server:
                if table.tls == "starttls":
                    server.starttls(context=context)
                if table.user is not None:
                    server.login(table.user, self._password or "")
                refused = server.send_message(message, table.sender, list(table.to))
        except smtplib.SMTPNotSupportedError:
            raise NotTaken("The mail server does not offer what is asked of it: TLS, or a login.") from None
        except smtplib.SMTPAuthenticationError:
            raise NotTaken("The mail server does not take the user and password.") from None
        except smtplib.SMTPResponseException as error:
            raise NotTaken(f"The mail server refused the message with code {error.smtp_code}.") from None
        except smtplib.SMTPRecipientsRefused:
            raise NotTaken("The mail server takes mail for none of the addresses.") from None
        except ssl.SSLError:
            raise InfrastructureError("The mail server's certificate was not accepted.") from None
        except (OSError, smtplib.SMTPException):
            raise InfrastructureError("The mail server did not answer.") from None
        if refused:  # the others have it: to send again would send it to them twice
            log.warning("mail refused for some", extra={"refused": len(refused), "of": len(table.to)})


def _check(answered: Answered) -> None:
    if not 200 <= answered.status < 300:
        raise NotTaken(f"The receiver answered with status {answered.status}.", answered.retry_after_s)
