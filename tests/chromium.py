"""Headless Chromium through its driver's own protocol (WebDriver over HTTP): just enough to look at a page."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]


def missing() -> str | None:
    """Why no browser can be had here, or None."""
    absent = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(absent)} not installed (Debian: chromium, chromium-driver)" if absent else None


class Browser:
    """One session; ``with Browser() as browser``."""

    def __enter__(self) -> Browser:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"], **quiet)
        options = {"args": FLAGS, "binary": shutil.which("chromium")}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = ""
        for _ in range(100):
            try:
                self.session = self._call("/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
                return self
            except urllib.error.HTTPError as error:
                self.driver.terminate()
                raise RuntimeError(error.read().decode()) from None
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("chromedriver does not answer")

    def __exit__(self, *_: object) -> None:
        try:
            request = urllib.request.Request(self._url(f"/session/{self.session}"), method="DELETE")
            urllib.request.urlopen(request, timeout=30).close()
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=30)

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def _call(self, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._url(path), data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())["value"]

    def _here(self, path: str, content: Any = None) -> Any:
        return self._call(f"/session/{self.session}{path}", content)

    def open(self, page: Path) -> None:
        """Load a file and wait until every figure is drawn (or has had 20 s)."""
        self._here("/url", {"url": page.resolve().as_uri()})
        for _ in range(200):
            if self.run("return [...document.querySelectorAll('figure')].every((f) => f.drawn)"):
                return
            time.sleep(0.1)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value that ``script`` returns."""
        return self._here("/execute/sync", {"script": script, "args": list(arguments)})

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._here("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """A window of that size, and the colour scheme that the page is asked for."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def mouse(self, kind: str, x: float, y: float, pressed: bool = False) -> None:
        """``mouseMoved``, ``mousePressed`` or ``mouseReleased`` at a point of the window."""
        held = {"button": "left" if pressed or kind != "mouseMoved" else "none", "buttons": int(pressed)}
        self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1, pointerType="mouse", **held)

    def messages(self) -> list[str]:
        """Warnings and errors on the console since the last call."""
        entries = self._here("/se/log", {"type": "browser"})
        return [e["message"] for e in entries if e["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path: Path) -> None:
        """The visible part as PNG."""
        path.write_bytes(base64.b64decode(self._here("/screenshot")))
