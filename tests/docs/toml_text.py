"""Completes a piece of config, so that `cyan check` can say whether it is right.

A page shows the lines that matter. What every config needs besides (where to listen, two environments)
is put around them; certificates, secrets' files and variables are made, since `cyan check` reads them.
"""

import re
import subprocess
import tomllib
from pathlib import Path

_SECRET_FILE = re.compile(r'"(/(?:run/secrets|etc)/[^"]+)"')
_TLS_FILE = re.compile(r'"[^"]+\.(crt|key)"')
_URL, _SECRET = "https://hooks.example.com/cyan", "a-value-of-more-than-sixteen-characters"
_VARIABLE = re.compile(r'env = "(\w+)"|\$\{(\w+)\}')


def completed(text: str, directory: Path) -> tuple[str, dict[str, str]]:
    """The whole config, and the variables that it wants."""
    table = tomllib.loads(text)
    if "state_dir" not in table:
        text = f'state_dir = "{directory}/state"\n{text}'
    if "listen" not in table:
        text = _with_table(text, '[listen]\nhttp = "127.0.0.1:8080"\n')
    services = table.get("service", {})
    if "environment" not in table:
        for name in services or ["chat"]:
            if "environment" not in services.get(name, {}):
                text = _with_table(text, _environments(f"service.{name}.environment"))
    names = {a or b for a, b in _VARIABLE.findall(text)}
    variables = {name: _URL if name.endswith("_URL") else f"{name}-{_SECRET}" for name in names}
    if _TLS_FILE.search(text):
        _make_certificate(directory)
        text = _TLS_FILE.sub(lambda found: f'"{directory}/tls.{found[1]}"', text)
    return _SECRET_FILE.sub(lambda found: f'"{_file(directory, found[1])}"', text), variables


def _make_certificate(directory: Path) -> None:
    """One for every name that a page gives a certificate, its key or an authority."""
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-subj", "/CN=a.test", "-keyout", "tls.key", "-out", "tls.crt"]
    command = ["openssl", "req", "-x509", "-days", "30", *kind, *files]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def _environments(place: str) -> str:
    sides = (("blue", 8001), ("green", 8002))
    return "".join(
        f'[{place}.{name}]\nupstreams = ["http://127.0.0.1:{port}"]\n' for name, port in sides
    )


def _with_table(text: str, table: str) -> str:
    """Tables go to the end: what stands at the top of a file belongs to no table."""
    return f"{text.rstrip()}\n{table}"


def _file(directory: Path, written: str) -> Path:
    path = directory / written.strip("/").replace("/", "-")
    path.write_text(f"{path.name}-{_SECRET}\n")
    path.chmod(0o600)
    return path
