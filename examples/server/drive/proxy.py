"""nginx in front of the example server, with TLS and a certificate of its own."""

import subprocess
import tempfile
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


class Proxy:
    def __init__(self, port, *ports):
        self.folder = Path(tempfile.mkdtemp(prefix="nginx-"))
        self.port = port
        self.certificate = self.folder / "cert.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
                *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost"),
                *("-keyout", str(self.folder / "key.pem"), "-out", str(self.certificate)),
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
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


