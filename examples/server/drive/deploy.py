#!/usr/bin/env python3
"""The files of `deploy/`, with the addresses and paths of this machine in the place of theirs:
systemd verifies the unit, its command runs behind nginx with its configuration and TLS, and curl
signs in there. Needs systemd-analyze, nginx, openssl and curl. Prints the number of checks.

The container is not run here: it is built from images of a registry.
"""

import re
import subprocess
import tempfile
from pathlib import Path

from parts import PASSWORD, Program, binary, free_port, start
from proxy import certify, curl, wait_for

DEPLOY = Path(__file__).parents[1] / "deploy"
folder = Path(tempfile.mkdtemp(prefix="deploy-"))
port, public, metrics = free_port(), free_port(), free_port()
origin = f"https://localhost:{public}"
checks = 0


def check(found, expected):
    global checks
    checks += 1
    assert found == expected, f"{found!r}, not {expected!r}"


def adapted(name, **places):
    """A file of `deploy/`, in which each of these texts occurs and is replaced."""
    text = (DEPLOY / name).read_text()
    for old, new in places.items():
        check(old in text, True)
        text = text.replace(old, str(new))
    (folder / name).write_text(text)
    return text


program = binary("gatepost-example-server")
unit = adapted(
    "example.service",
    **{
        f"/usr/local/bin/{program.name}": program,
        "/var/lib/example/store": folder / "store",
        "https://example.com": origin,
        "127.0.0.1:9090": f"127.0.0.1:{metrics}",
    },
)
verify = ["systemd-analyze", "verify", "--man=no", folder / "example.service"]
done = subprocess.run(verify, capture_output=True, text=True)
check((done.returncode, "example.service" in done.stderr), (0, False))

command = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", unit, re.MULTILINE)[1]
command = command.replace("\\\n", " ").split()
server = Program(*command, "--listen", f"127.0.0.1:{port}", "--demo")
server.line("^listening on")
check((folder / "store").stat().st_mode & 0o777, 0o700)

certificate = certify(folder)
adapted(
    "nginx.conf",
    **{
        "127.0.0.1:8080": f"127.0.0.1:{port}",
        "listen 8443 ssl": f"listen 127.0.0.1:{public} ssl",
        "/etc/nginx/cert.pem": certificate,
        "/etc/nginx/key.pem": folder / "key.pem",
    },
)
# What Debian's nginx.conf has around it.
temporary = "".join(
    f"{name}_temp_path {folder}/{name};"
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
)
(folder / "main.conf").write_text(
    f"daemon off; pid {folder}/pid; events {{}}"
    f" http {{ access_log off; {temporary} include {folder}/nginx.conf; }}"
)
nginx = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "main.conf"]
done = subprocess.run([*nginx, "-t"], capture_output=True, text=True)
check((done.returncode, done.stderr), (0, done.stderr))
start(*nginx)
wait_for(f"{origin}/healthz", certificate)


def ask(path, *arguments):
    return curl(f"{origin}{path}", certificate, *arguments)


jar = ["-b", folder / "jar", "-c", folder / "jar"]
login = ["--data-urlencode", "username=ada", "--data-urlencode", f"password={PASSWORD}"]
check(ask("/login", *jar, *login)[0], 303)
kept = (folder / "jar").read_text()
for name in ["__Host-session", "__Host-device"]:
    # curl's columns: domain, subdomains, path, secure, end, name, value.
    row = next(line.split("\t") for line in kept.splitlines() if f"\t{name}\t" in line)
    check((row[0], row[1], row[2], row[3]), ("#HttpOnly_localhost", "FALSE", "/", "TRUE"))
# The address is the one that nginx saw, whatever the caller says before it.
status, page = ask("/account", *jar, "-H", "X-Forwarded-For: 203.0.113.9")
check((status, "127.0.0.1" in page, "203.0.113.9" in page), (200, True, False))
check(ask("/logout", *jar, "-X", "POST", "-H", "Origin: https://evil.example")[0], 403)
check(ask("/login", "--data-urlencode", "username=" + "a" * 70_000)[0], 413)
check(ask("/metrics")[0], 404)
check("gatepost_" in curl(f"http://127.0.0.1:{metrics}/metrics", certificate)[1], True)
check(ask("/logout", *jar, "-X", "POST", "-H", f"Origin: {origin}")[0], 303)
check(ask("/account", *jar)[0], 303)
# As systemd stops it.
check(server.end(), 0)
print(f"{checks} checks")
