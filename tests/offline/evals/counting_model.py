"""A model on a real socket that counts what it is asked; it takes its time, and answers with the question."""

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class CountingModel:
    """Serves while entered."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.asked: Counter[str] = Counter()
        """Calls by question, counted when they come."""
        self.lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                question = body["messages"][-1]["content"]
                with model.lock:
                    model.asked[question] += 1
                time.sleep(delay_s)
                message = {"role": "assistant", "content": question}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
                answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
                data = json.dumps({**answer, "choices": [choice], "usage": usage}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

            def handle(self) -> None:
                """A client that was killed hangs up."""
                with suppress(ConnectionError):
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def calls(self) -> int:
        """How many came."""
        with self.lock:
            return self.asked.total()

    @property
    def configuration(self) -> str:
        """A greenroom.toml whose app `plain` asks this model; a call costs $0.002."""
        return f"""
            [providers.counting]
            kind = "openai_compatible"
            base_url = "http://127.0.0.1:{self._server.server_address[1]}/v1"
            [prices."counting/m"]
            input_per_mtok_usd = 1.0
            output_per_mtok_usd = 1.0
            [apps.plain]
            model = "counting/m"
            pipeline = "off"
        """

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
