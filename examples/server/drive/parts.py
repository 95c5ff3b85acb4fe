"""The parts of the drives: the programs under test, a browser, and codes of an authenticator.

Only Python's standard library: a browser is driven by the WebDriver protocol (W3C), which is JSON
over HTTP.
"""

import atexit
import base64
import hmac
import json
import os
import queue
import re
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

started = []


@atexit.register
def end_all():
    """No program outlives a drive, however it ends."""
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def start(*command, **options):
    process = subprocess.Popen([str(word) for word in command], **options)
    started.append(process)
    return process


PASSWORD = "lantern over wet slate"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WAIT_SECONDS = 15


def binary(name):
    """A program that was built, by the name of its target."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[3] / "target"))
    return target / os.environ.get("PROFILE", "debug") / name


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Program:
    """A program that runs, and the lines that it prints."""

    def __init__(self, *command, **options):
        self.process = start(*command, stdout=subprocess.PIPE, text=True, **options)
        self.lines = queue.Queue()
        self.printed = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.printed.append(line.rstrip())
            self.lines.put(line.rstrip())
        self.lines.put(None)

    def line(self, pattern):
        """The match of the next line that matches."""
        end = time.monotonic() + 60
        while True:
            line = self.lines.get(timeout=max(0.1, end - time.monotonic()))
            assert line is not None, f"the program ended before it printed {pattern}"
            found = re.search(pattern, line)
            if found:
                return found

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


def refused(*arguments):
    """What the example server says, which ends with a failure before it listens."""
    command = [str(word) for word in (binary("gatepost-example-server"), *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "listening" not in done.stdout, done
    return done.stderr


class Server(Program):
    """The example server, on a store of its own unless `data` names one."""

    def __init__(self, *arguments, data=None, port=None, origin=None):
        self.port = port or free_port()
        self.data = Path(data or tempfile.mkdtemp(prefix="example-")) / "store"
        self.origin = origin or f"http://localhost:{self.port}"
        super().__init__(
            binary("gatepost-example-server"),
            *("--listen", f"127.0.0.1:{self.port}", "--data", self.data),
            *("--origin", self.origin),
            *arguments,
        )
        self.line("^listening on")

    def age_proofs(self, seconds):
        """Makes the proofs of all sessions older, in the file: no drive can wait so long."""
        self.change("UPDATE session SET authenticated_at = authenticated_at - ?", seconds * 1000)

    def change(self, statement, *values):
        """Changes the file, as a person with a shell does."""
        file = sqlite3.connect(self.data / "auth.db", timeout=10)
        with file:
            file.execute(statement, values)
        file.close()

    def mail(self, to):
        """The path of the link in the next mail to that address."""
        return self.line(rf"^mail to {re.escape(to)}: {re.escape(self.origin)}(\S+)")[1]


def code(base32, step=0):
    """The code of an authenticator (RFC 6238), so many steps of 30 s from now."""
    counter = int(time.time()) // 30 + step
    secret = base64.b32decode(base32 + "=" * (-len(base32) % 8))
    digest = hmac.digest(secret, counter.to_bytes(8, "big"), "sha1")
    at = digest[19] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def next_step():
    """Waits until codes of the current step were not used before."""
    time.sleep(30.2 - time.time() % 30)


class Driver:
    """ChromeDriver, which starts browsers."""

    def __init__(self):
        self.port = free_port()
        command = ["chromedriver", f"--port={self.port}", "--log-level=SEVERE"]
        self.process = start(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            try:
                self.call("GET", "/status")
                return
            except OSError:
                assert time.monotonic() < end, "chromedriver does not answer"
                time.sleep(0.1)

    def call(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, {"content-type": "application/json"})
        request.method = method
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise LookupError(f"{value['error']}: {value['message'][:300]}") from None

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=20)


class Browser:
    """Headless Chromium with a profile of its own, at one server."""

    def __init__(self, driver, server, width=1000, height=900):
        self.driver, self.server = driver, server
        self.profile = tempfile.mkdtemp(prefix="profile-")
        options = {
            "args": [
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-dev-shm-usage"),
                f"--user-data-dir={self.profile}",
                f"--window-size={width},{height}",
            ]
        }
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options}
        body = {"capabilities": {"alwaysMatch": capabilities}}
        self.session = f"/session/{driver.call('POST', '/session', body)['sessionId']}"

    def call(self, method, path, body=None):
        return self.driver.call(method, self.session + path, body)

    def cdp(self, command, **parameters):
        body = {"cmd": command, "params": parameters}
        return self.call("POST", "/goog/cdp/execute", body)

    def go(self, path):
        url = path if "://" in path else f"{self.server.origin}{path}"
        self.call("POST", "/url", {"url": url})

    def back(self):
        self.call("POST", "/back")

    @property
    def path(self):
        return self.call("GET", "/url").removeprefix(self.server.origin)

    @property
    def text(self):
        return self.script("return document.body.innerText")

    def script(self, text, *arguments):
        body = {"script": text, "args": list(arguments)}
        return self.call("POST", "/execute/sync", body)

    def find(self, css):
        body = {"using": "css selector", "value": css}
        return self.call("POST", "/element", body)[ELEMENT]

    def type(self, css, text):
        element = self.find(css)
        self.call("POST", f"/element/{element}/clear")
        self.call("POST", f"/element/{element}/value", {"text": text})

    def click(self, css):
        """Clicks, and waits until the page that it leads to is there."""
        self.script("window.leaves = true")
        self.call("POST", f"/element/{self.find(css)}/click")
        self.until(lambda: self.script("return !window.leaves && document.readyState") == "complete")

    def until(self, is_so):
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                if is_so():
                    return
            except LookupError:
                pass  # The page is being replaced.
            assert time.monotonic() < end, f"not in {WAIT_SECONDS} s: {self.path}\n{self.text}"
            time.sleep(0.03)

    def fill(self, button="main form button", **fields):
        for name, text in fields.items():
            self.type(f"[name={name}]", text)
        self.click(button)

    def sign_in(self, username, password=PASSWORD):
        self.go("/login")
        self.fill(username=username, password=password)

    def cookies(self):
        """All cookies, also those that no script can read, by name."""
        found = self.cdp("Network.getCookies", urls=[self.server.origin])["cookies"]
        return {cookie["name"]: cookie for cookie in found}

    def picture(self, path, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", features=features)
        shot = self.cdp("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(shot))
        self.cdp("Emulation.setEmulatedMedia", features=[])

    def end(self):
        self.driver.call("DELETE", self.session)
