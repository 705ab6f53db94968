"""Receivers of alerts on real sockets: one that takes POSTs, one that takes mail. Know nothing of Greenroom."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple


class Request(NamedTuple):
    """One request that came, header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers every POST with what `answer` holds at the time."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}/hook?team=1"

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                with connection:
                    if self._context is not None:
                        connection = self._context.wrap_socket(connection, server_side=True)
                    self._answer(connection)
            except OSError:
                continue

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            path = lines.readline().split()[1].decode()
            headers = {}
            while line := lines.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            body = lines.read(int(headers["content-length"]))
        self.requests.append(Request(path, headers, body))
        connection.sendall(self.answer)
        connection.close()


class MailServer:
    """Speaks as much SMTP as a client needs to hand over mail, after STARTTLS where it has a certificate."""

    def __init__(self, context: ssl.SSLContext | None = None, *, login: str | None = None) -> None:
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.logins: list[str] = []
        self.was_encrypted = False
        self._context = context
        self._login = login
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with ExitStack() as ending, suppress(OSError, ValueError):
                self._talk(ending.enter_context(connection), ending)

    def _talk(self, connection: socket.socket, ending: ExitStack) -> None:
        connection.sendall(b"220 here\r\n")
        lines = ending.enter_context(connection.makefile("rb"))
        while line := lines.readline().decode().strip():
            verb = line.upper()
            if verb.startswith("EHLO"):
                offers = b"250-STARTTLS\r\n" if self._context is not None and not self.was_encrypted else b""
                connection.sendall(b"250-here\r\n" + offers + b"250 AUTH PLAIN\r\n")
            elif verb == "STARTTLS" and self._context is not None:
                connection.sendall(b"220 go\r\n")
                connection = ending.enter_context(self._context.wrap_socket(connection, server_side=True))
                self.was_encrypted = True
                lines = ending.enter_context(connection.makefile("rb"))
            elif verb.startswith("AUTH PLAIN"):
                self.logins.append(line.split()[-1])
                connection.sendall(b"235 yes\r\n" if line.split()[-1] == self._login else b"535 no\r\n")
            elif verb.startswith("RCPT"):
                self.recipients.append(line.partition(":")[2])
                connection.sendall(b"250 yes\r\n")
            elif verb == "DATA":
                connection.sendall(b"354 go\r\n")
                mail = []
                while (part := lines.readline()) != b".\r\n":
                    mail.append(part)
                self.mails.append(b"".join(mail))
                connection.sendall(b"250 taken\r\n")
            elif verb == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 yes\r\n")


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(context)
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def taking_mail(context: ssl.SSLContext | None = None, *, login: str | None = None) -> Iterator[MailServer]:
    server = MailServer(context, login=login)
    try:
        yield server
    finally:
        server.close()
