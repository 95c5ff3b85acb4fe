"""nginx in front of the example server, with TLS and a certificate of its own."""

import subprocess
import tempfile
import time
from pathlib import Path

from parts import start

CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_buffer_size 128k; # The folders below belong to another user than its workers.
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream both {{ {servers} keepalive 32; }}
    {upstreams}
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        # A test chooses the server; everyone else gets either.
        location / {{ proxy_pass http://$chosen; }}
        set $chosen both;
        if ($http_x_server ~ ^server[0-9]$) {{ set $chosen $http_x_server; }}
    }}
}}
"""


def certify(folder):
    """Makes a certificate for localhost: `cert.pem` and `key.pem` in the folder."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return folder / "cert.pem"


def curl(url, certificate, *arguments):
    """The status and the body."""
    command = ["curl", "-sS", "--cacert", certificate, "-w", "\n%{http_code}", *arguments]
    done = subprocess.run([*command, url], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def wait_for(url, certificate):
    """Waits until a server answers at this address."""
    end = time.monotonic() + 20
    while True:
        try:
            return curl(url, certificate)
        except AssertionError:
            assert time.monotonic() < end, f"no answer from {url}"
            time.sleep(0.1)


class Proxy:
    def __init__(self, port, *ports):
        self.folder = Path(tempfile.mkdtemp(prefix="nginx-"))
        self.port = port
        self.certificate = certify(self.folder)
        servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
        upstreams = " ".join(
            f"upstream server{n} {{ server 127.0.0.1:{port}; keepalive 32; }}"
            for n, port in enumerate(ports)
        )
        path = self.folder / "nginx.conf"
        path.write_text(
            CONFIGURATION.format(
                folder=self.folder, port=port, servers=servers, upstreams=upstreams
            )
        )
        start("nginx", "-p", self.folder, "-e", self.folder / "error.log", "-c", path)
        self.origin = f"https://localhost:{port}"


