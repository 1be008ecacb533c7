"""The proxies under test, each as a plain reverse proxy in front of one scripted upstream.

The configs say the same in three languages: HTTP/1.1 to the upstream, connections kept, answers not
collected, the client's address told, WebSockets allowed. A setup is a variation of that which some
cases need; it is started when the first of them comes.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conformance.case import Case, Result, Seen, judged, observe
from conformance.secure import pair
from conformance.upstream import Upstream
from conformance.wire import Client
from harness.process import Process, free_port, wait_until

NAMES = ("cyan", "cyan-hyper", "nginx", "haproxy")
"""Cyan twice: requests that its lean engine would serve go to hyper in the second."""

NGINX = """
daemon off; master_process off; worker_processes 1; error_log {directory}/error.log; pid {directory}/pid;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream scripted {{ server 127.0.0.1:{upstream}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port}{more};
    client_max_body_size 32m;
    location / {{
      proxy_pass http://scripted;
      proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""

_NGINX_TLS = """ ssl http2;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:1m;
    ssl_certificate {a.certificate}; ssl_certificate_key {a.key}"""
NGINX_SETUPS = {
    "plain": "",
    "h2": " http2",
    "proxied": """ proxy_protocol;
    set_real_ip_from 127.0.0.0/8; real_ip_header proxy_protocol""",
    "tls": _NGINX_TLS
    + """;
    location / {{ proxy_pass http://scripted; proxy_http_version 1.1;
      proxy_set_header X-Forwarded-Proto $scheme; }}
  }}
  server {{
    listen 127.0.0.1:{port} ssl http2; server_name b.test;
    ssl_certificate {b.certificate}; ssl_certificate_key {b.key}""",
    "mtls": _NGINX_TLS + "; ssl_verify_client on; ssl_client_certificate {client.certificate}",
}
"""What follows the port of nginx's listener. With TLS there is a second server, and the rest of the config is
that one's."""

HAPROXY_SETUPS = {
    "plain": "",
    "h2": "",
    "proxied": " accept-proxy",
    "tls": " ssl crt {a.both} crt {b.both} alpn h2,http/1.1",
    "mtls": """ ssl crt {a.both} verify required ca-file {client.certificate} alpn h2,http/1.1
  http-request set-header Client-Cert :%[ssl_c_der,base64]:""",
}
"""What follows the port of HAProxy's listener."""

HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  timeout http-request 10s
  http-reuse safe
  option abortonclose
frontend clients
  bind 127.0.0.1:{port}{more}
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  default_backend scripted
backend scripted
  server scripted 127.0.0.1:{upstream}
"""

_CYAN_TLS = """https = "127.0.0.1:{port}"
certificate_file = "{a.certificate}"
key_file = "{a.key}"
"""
_CYAN_PLAIN = """http = "127.0.0.1:{port}"
"""
CYAN_SETUPS = {
    "plain": _CYAN_PLAIN,
    "h2": _CYAN_PLAIN,
    "trusted": _CYAN_PLAIN + 'trusted_proxies = ["127.0.0.0/8"]',
    "proxied": _CYAN_PLAIN
    + """trusted_proxies = ["127.0.0.0/8"]
proxy_protocol = "v2"
""",
    "proxied-by-others": _CYAN_PLAIN
    + """trusted_proxies = ["192.0.2.0/24"]
proxy_protocol = "v2"
""",
    "bounds": _CYAN_PLAIN
    + """[listen.timeouts]
head = "300ms"
idle = "400ms"
body_idle = "300ms"
[service.bounded]
hosts = ["b.test"]
body_max = 1000
[service.bounded.body_max_by_path]
"/audio" = 3000
[service.bounded.environment.blue]
upstreams = ["http://127.0.0.1:{upstream}"]
in_flight_max = 1
[service.bounded.environment.blue.timeouts]
response_head = "500ms"
idle = "500ms"
write_stall = "500ms"
""",
    "tls": _CYAN_TLS
    + """[listen.certificates.b]
certificate_file = "{b.certificate}"
key_file = "{b.key}"
""",
    "mtls": _CYAN_TLS
    + """client_ca_file = "{client.certificate}"
forward_client_certificate = "leaf"
""",
}
"""Cyan's table `[listen]`, and what follows it."""

CYAN = """
state_dir = "{directory}/state"
[listen]
{listen}
[admin]
address = "127.0.0.1:{admin}"
[service.chat]
active = "blue"
[service.chat.environment.blue]
upstreams = ["http://127.0.0.1:{upstream}"]
weight = 100
"""


@functools.cache
def cyan_program() -> Path:
    """The `cyan` under test: what CYAN_PROGRAM names, or a build of this checkout."""
    if named := os.environ.get("CYAN_PROGRAM"):
        return Path(named)
    root = Path(__file__).resolve().parents[2]
    print("building cyan; CYAN_PROGRAM would name one that is there", file=sys.stderr)
    subprocess.run(["cargo", "build", "--locked", "--bin", "cyan"], cwd=root, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", root / "target")
    return Path(target) / "debug" / "cyan"


def version(name: str) -> str:
    """What a peer calls itself."""
    if name.startswith("cyan"):
        command = [str(cyan_program()), "--version"]
    else:
        command = [name, "-v"]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).splitlines()[0].removeprefix("nginx version: ")


def missing_programs(names: tuple[str, ...]) -> list[str]:
    """Which of the other proxies are not installed."""
    return [n for n in ("nginx", "haproxy") if n in names and not shutil.which(n)]


class Running:
    """One proxy in one setup, with its upstream."""

    def __init__(self, name: str, setup: str, directory: Path):
        directory.mkdir(parents=True)
        self.upstream = Upstream()
        self.address = ("127.0.0.1", free_port())
        places = {"directory": directory, "port": self.address[1], "upstream": self.upstream.port}
        if setup in ("tls", "mtls"):
            places |= {"a": pair("a.test"), "b": pair("b.test"), "client": pair("client")}
        command = _COMMANDS[name.split("-")[0]](setup, places)
        environment = {"CYAN_ENGINE": "hyper"} if name == "cyan-hyper" else {}
        self.process = Process(f"{name} ({setup})", command, directory / "log", environment)
        wait_until(f"{name} accepts connections", self._accepts_or_ended, 30)
        if not self.process.is_running:
            raise RuntimeError(f"{name} ended at once:\n{self.process.log_end()}")

    def _accepts_or_ended(self) -> bool:
        try:
            Client(self.address, 1).sock.close()
            return True
        except OSError:
            return not self.process.is_running

    def end(self) -> None:
        self.process.end()
        self.upstream.__exit__()


class Peer:
    """A proxy under test. A context manager."""

    def __init__(self, name: str, directory: Path):
        self.name, self._directory = name, directory
        self._running: dict[str, Running] = {}

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running.values():
            running.end()

    def plays(self, case: Case) -> bool:
        """Whether the case makes sense for this peer."""
        kind = self.name.split("-")[0]
        return (not case.only or kind in case.only) and case.setup in SETUPS[kind]

    def run(self, case: Case) -> Result:
        """Plays a case."""
        running = self._of(case.setup)
        take = running.upstream.play(case.upstream, case.seconds)
        with Client(running.address, case.seconds) as client:
            seen: Seen = observe(case, client, take)
        running.upstream.settle()
        seen.requests = [request for request in take.requests if not request.is_sentinel]
        seen.is_sentinel_seen = any(request.is_sentinel for request in take.requests)
        seen.released = take.released
        if not running.process.is_running:
            self._running.pop(case.setup)
            return Result("the process ended", running.process.log_end()[-80:])
        return judged(case, seen)

    def _of(self, setup: str) -> Running:
        if setup not in self._running:
            directory = self._directory / self.name / setup
            self._running[setup] = Running(self.name, setup, directory)
        return self._running[setup]


def _cyan(setup: str, places: dict) -> list[str]:
    config = places["directory"] / "cyan.toml"
    listen = CYAN_SETUPS[setup].format(**places)
    config.write_text(CYAN.format(**places, admin=free_port(), listen=listen))
    return [str(cyan_program()), "serve", "--config", str(config)]


def _nginx(setup: str, places: dict) -> list[str]:
    config = places["directory"] / "nginx.conf"
    config.write_text(NGINX.format(**places, more=NGINX_SETUPS[setup].format(**places)))
    return ["nginx", "-p", str(places["directory"]), "-c", str(config)]


def _haproxy(setup: str, places: dict) -> list[str]:
    config = places["directory"] / "haproxy.cfg"
    config.write_text(HAPROXY.format(**places, more=HAPROXY_SETUPS[setup].format(**places)))
    return ["haproxy", "-db", "-f", str(config)]


_COMMANDS: dict[str, Callable[[str, dict], list[str]]] = {
    "cyan": _cyan,
    "nginx": _nginx,
    "haproxy": _haproxy,
}
SETUPS = {"cyan": set(CYAN_SETUPS), "nginx": set(NGINX_SETUPS), "haproxy": set(HAPROXY_SETUPS)}
