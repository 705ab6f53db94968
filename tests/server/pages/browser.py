"""A headless Chromium, spoken to over its debugging port: just enough to sign in, look and press keys."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", "about:blank",
)  # fmt: skip


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page of one fresh profile; `requested` are the addresses it asked for, `dialogs` what popped up."""

    def __init__(self) -> None:
        self.requested: list[str] = []
        self.dialogs: list[str] = []
        self.problems: list[str] = []
        self._loaded = 0
        self._number = 0
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._open = ExitStack()
        self._socket: ClientConnection | None = None

    def __enter__(self) -> Self:
        program = chromium()
        assert program is not None
        self._process = subprocess.Popen(
            [program, f"--user-data-dir={self._folder.name}", *_FLAGS],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._connect(Path(self._folder.name) / "DevToolsActivePort")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _connect(self, port_file: Path) -> None:
        until = time.monotonic() + 40
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert time.monotonic() < until, "Chromium did not start"
            time.sleep(0.05)
        port = int(port_file.read_text().splitlines()[0])
        page = None
        while page is None:
            assert time.monotonic() < until, "Chromium opened no page"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
                page = next((one for one in json.load(answer) if one["type"] == "page"), None)
        socket = connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None, ping_interval=None)
        self._socket = self._open.enter_context(socket)
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def _stop(self) -> None:
        self._open.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        assert self._socket is not None
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = self._next(20)
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result

    def go(self, address: str) -> None:
        before = self._loaded
        self.call("Page.navigate", url=address)
        self._until_loaded(before)

    def run_and_wait(self, script: str) -> None:
        """Run a script that leads to another page, and wait for that page."""
        before = self._loaded
        self.value(script)
        self._until_loaded(before)

    def value(self, script: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def run(self, script: str) -> None:
        """Run a script whatever the page's policy says, as an extension would."""
        self.call("Runtime.evaluate", expression=script + ";0", returnByValue=True)

    def promised(self, script: str) -> Any:
        """What a promise comes to."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def prefer(self, look: str) -> None:
        """Be a browser whose person wants `light` or `dark` pages."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": look}])

    def press(self, key: str) -> None:
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def look(self, path: Path, *, width: int = 1280, most: int = 6000, dark: bool = False) -> None:
        """Save the page as a picture, PNG or WebP by its name, down to `most` pixels."""
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": width, "height": min(size["height"], most), "scale": 1}
        kind = {"format": "webp", "quality": 80} if path.suffix == ".webp" else {"format": "png"}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip, **kind)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _until_loaded(self, before: int) -> None:
        while self._loaded == before:
            self._next(20)

    def _next(self, timeout_s: float) -> dict[str, Any]:
        assert self._socket is not None
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=timeout_s))
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])
            case "Page.javascriptDialogOpening":
                self.dialogs.append(params["message"])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.problems.append(str(params["exceptionDetails"]))
        return message


def sign_in(browser: Browser, origin: str, key: str) -> None:
    browser.go(f"{origin}/login")
    browser.value(f"document.querySelector('#key').value = {json.dumps(key)}")
    browser.run_and_wait("document.querySelector('main form').requestSubmit()")
