#!/usr/bin/env python3
"""The client of TrueVault (npm `truevault`), unchanged, at the example server: in Node, and its
browser build in a page of another origin in headless Chromium. A second server shares the logins.

Prints what each method of the client did, which the manual's page `services` has as a table, and
the number of checks. `sdk.js` has the calls. Needs Node with npm, which fetches the one package;
its digest is checked.
"""

import base64
import functools
import hashlib
import http.server
import json
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parts import PASSWORD, Browser, Driver, Program, Server, binary, code, free_port, next_step

PACKAGE = "truevault@1.3.1"
SHA512 = "yBrVDqRv3g7VxJ6GqXbbtOuz5TQPNpb1M1Vcne5BGBjcLi9oKSjlbHyJ7IYUbck+/JNj6xeaPb2Lt/YUAmkmTA=="
# The id of the account, which is the same for every store of the example server.
ACCOUNT = "01890a5d-ac96-774b-bcce-b302099a8000"
CALLS = Path(__file__).with_name("sdk.js")
MANUAL = Path(__file__).parents[3] / "manual" / "services.md"
# What `sdk.js` says of a method that needs XMLHttpRequest.
BROWSERS_ONLY = "for browsers alone"


def install(folder):
    """The package as it is published. It has its dependencies in it, so nothing else is fetched."""
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, PACKAGE]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    [archive] = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    assert digest == SHA512, f"{PACKAGE} is another one: sha512-{digest}"
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    return folder / "package" / "build"


class Node:
    """The client in Node, a program that answers a line by a line."""

    name = "Node"

    def __init__(self, build):
        self.program = Program("node", CALLS, build / "index-node.js", stdin=subprocess.PIPE)

    def call(self, part, **given):
        line = json.dumps({"part": part, "given": given})
        print(line, file=self.program.process.stdin, flush=True)
        return json.loads(self.program.line(".*")[0])

    def end(self):
        self.program.process.stdin.close()
        assert self.program.process.wait(timeout=20) == 0


PAGE = """<!doctype html><meta charset="utf-8"><title>A page of another origin</title>
<script src="sdk.js"></script><script src="index-web.js"></script>"""
CALL = """
const [part, given] = arguments;
return parts[part](given).then((value) => ({ value }), (error) => ({ error: error.stack }));
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Chromium:
    """The client in a page."""

    name = "Chromium"

    def __init__(self, build):
        folder = Path(tempfile.mkdtemp(prefix="page-"))
        (folder / "index.html").write_text(PAGE)
        (folder / "sdk.js").write_text(CALLS.read_text())
        (folder / "index-web.js").write_bytes((build / "index-web.js").read_bytes())
        handler = functools.partial(Quiet, directory=folder)
        site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        self.driver = Driver()
        self.browser = Browser(self.driver, None)
        self.browser.go(f"http://127.0.0.1:{site.server_address[1]}/index.html")

    def call(self, part, **given):
        return self.browser.script(CALL, part, given)

    def end(self):
        self.browser.end()
        self.driver.end()


def example():
    """That of the manual."""
    return MANUAL.read_text().partition("```js\n")[2].partition("```")[0]


def run(client):
    """The whole of it, on a server of its own; the rows of the table, and the number of checks."""

    def call(part, **given):
        answer = client.call(part, **given)
        assert "error" not in answer, f"{client.name}, {part}: {answer['error']}"
        return answer.get("value")

    server = Server("--demo")
    port = free_port()
    guest = Program(
        *(binary("guest"), "--listen", f"127.0.0.1:{port}", "--server", server.origin)
    )
    guest.line("^listening")
    [key] = [line.split()[-1] for line in server.printed if line.startswith("demo program robot")]
    call(
        "start",
        host=server.origin,
        guest=f"http://localhost:{port}",
        account=ACCOUNT,
        key=key,
        password=PASSWORD,
    )
    call("session")
    call("example", text=example().replace("https://localhost:8443", server.origin))
    secrets = call("enrol")
    if time.time() % 30 > 25:
        next_step()  # Both codes are of steps that the server accepts when it gets them.
    call("confirm", codes=[[code(secret, -1), code(secret)] for secret in secrets])
    step = time.time() // 30
    for part in ["logout", "users", "credentials", "rights", "reset"]:
        call(part)
    call("redeem", token=server.mail("eve@example.com").partition("=")[2])
    # Each code is accepted once, so each user waits for the next one: both at once.
    if time.time() // 30 == step:
        next_step()
    for part, secret in zip(["coded", "unenrol"], secrets):
        call(part, code=code(secret))
    not_served = call("others")
    found = call("rows")
    client.end()
    guest.end()
    assert server.end() == 0
    return dict(found["rows"]), found["checks"], not_served


def table(rows):
    """As the manual has it: the methods that get one sentence for 404 are in one row."""
    methods = {}
    for method, answer in rows.items():
        name, comma, case = method.partition(",")
        key = answer if answer.startswith("404") else method
        methods.setdefault(key, (answer, []))[1].append(f"`{name}`{comma}{case}")
    yield "| method | answer |"
    yield "|---|---|"
    for answer, names in methods.values():
        yield f"| {', '.join(names)} | {answer} |"


def unanswered():
    """A first server that takes a request and is silent: the second one knows neither yes nor no."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = free_port()
        first = f"http://127.0.0.1:{silent.getsockname()[1]}"
        guest = Program(binary("guest"), "--listen", f"127.0.0.1:{port}", "--server", first)
        guest.line("^listening")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20)
        except urllib.error.HTTPError as error:
            assert error.code == 503, error
        else:
            raise AssertionError("the second server believed a silent one")
        guest.end()


build = install(Path(tempfile.mkdtemp(prefix="sdk-")))
with ThreadPoolExecutor() as threads:
    silence = threads.submit(unanswered)
    done = list(threads.map(run, [Node(build), Chromium(build)]))
    silence.result()
(in_node, *_), (in_chromium, _, not_served) = done
shown = "\n".join(table(in_chromium))
print(shown)
assert shown in MANUAL.read_text(), f"{MANUAL} has another table"
for method, answer in in_node.items():
    assert in_chromium[method] == answer or answer == BROWSERS_ONLY, (method, answer)
served = len({method.split(",")[0] for method in in_chromium}) - not_served
checks = sum(checks for _, checks, _ in done) + 1
print(f"{PACKAGE}: {served} methods served, {not_served} answered 404, {checks} checks")
