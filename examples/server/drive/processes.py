#!/usr/bin/env python3
"""Two processes of the example server on one file, behind nginx with TLS: a logout at one is
refused by the other at the very next request.

processes.py [ROUNDS]: 10,000 unless it is said. In each round a user logs in at one server, is
verified by the other, which caches the session, logs out at the first, and is verified by the
second once more. Needs nginx and openssl. Prints the counts; a session that is still valid, or a
first verify that is refused, fails the run.
"""

import http.client
import json
import ssl
import sys
import tempfile
import threading
import time

from parts import PASSWORD, Server, free_port
from proxy import Proxy

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
THREADS = 4

port = free_port()
origin = f"https://localhost:{port}"
folder = tempfile.mkdtemp(prefix="both-")
arguments = ["--demo", "--hashes", "1", "--trusted-proxy", "127.0.0.1/32"]
servers = [Server(*arguments, data=folder, origin=origin) for _ in range(2)]
proxy = Proxy(port, *[server.port for server in servers])
context = ssl.create_default_context(cafile=proxy.certificate)
counts = {"rounds": 0, "refused": 0, "still valid": 0, "not verified": 0, "other": 0}
lock = threading.Lock()


class Client:
    def __init__(self, number):
        self.device = f"client-{number}"
        self.user = ["ada", "bob", "eve", "bob"][number % 4]
        self.connection = http.client.HTTPSConnection("localhost", port, context=context)

    def call(self, server, path, **body):
        body = json.dumps({"DeviceId": self.device, **body})
        headers = {"content-type": "application/json", "x-server": f"server{server}"}
        self.connection.request("POST", f"/VPE/session/{path}/", body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, (path, answer.status, text)
        return json.loads(text)

    def round(self, first):
        second = 1 - first
        login = self.call(first, "login", Username=self.user, Password=PASSWORD)
        session = {"SessionId": login["SessionId"]}
        if not self.call(second, "verify", **session)["Success"]:
            return "not verified"
        if not self.call(first, "logout", **session)["Success"]:
            return "other"
        return "still valid" if self.call(second, "verify", **session)["Success"] else "refused"


def work(number):
    client = Client(number)
    while True:
        with lock:
            at = counts["rounds"]
            if at == ROUNDS:
                return
            counts["rounds"] += 1
        try:
            found = client.round(at % 2)
        except (AssertionError, OSError, http.client.HTTPException) as error:
            print(repr(error), file=sys.stderr)
            client, found = Client(number), "other"
        with lock:
            counts[found] += 1


end = time.monotonic() + 20
while True:
    try:
        Client(0).call(0, "testConnection")
        break
    except (OSError, AssertionError):
        assert time.monotonic() < end, "nginx does not answer"
        time.sleep(0.1)
started = time.monotonic()
threads = [threading.Thread(target=work, args=[number]) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
seconds = time.monotonic() - started
for server in servers:
    assert server.end() == 0
print(f"{counts['refused']} of {ROUNDS} logouts refused by the other process, in {seconds:.0f} s")
bad = {name: n for name, n in counts.items() if n and name not in ("rounds", "refused")}
sys.exit(f"failed: {bad}" if bad else 0)
