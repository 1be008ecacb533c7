"""TLS for the cases: certificates made for a run, and a client that speaks TLS over a case's connection."""

import functools
import ssl
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from conformance.wire import Client, Reader

_LOCK = threading.Lock()


@dataclass(frozen=True)
class Pair:
    """A certificate, its key, and both in one file."""

    certificate: Path
    key: Path
    both: Path


def pair(name: str) -> Pair:
    """A certificate made out to this name, which is trusted by whoever has it; one for the whole run."""
    with _LOCK:
        return _pair(name)


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    """Of all pairs; it goes with this process."""
    return tempfile.TemporaryDirectory(prefix="conformance-tls-")


@functools.cache
def _pair(name: str) -> Pair:
    directory = Path(_directory().name)
    made = Pair(directory / f"{name}.crt", directory / f"{name}.key", directory / f"{name}.pem")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    # No authority: strict servers take none for a client.
    leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
    command = ["openssl", "req", "-x509", "-days", "30", *curve, *files, *subject, *leaf]
    subprocess.run(command, check=True, capture_output=True)
    made.both.write_bytes(made.certificate.read_bytes() + made.key.read_bytes())
    return made


def context(
    *names: str,
    alpn: tuple[str, ...] = (),
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None,
    own: Pair | None = None,
    ciphers: str = "",
) -> ssl.SSLContext:
    """Settings of a client that trusts the certificates of these names."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    for name in names or ("a.test", "b.test"):
        made.load_verify_locations(pair(name).certificate)
    if alpn:
        made.set_alpn_protocols(list(alpn))
    if ciphers:
        made.set_ciphers(ciphers)
    if versions:
        made.minimum_version, made.maximum_version = versions
    if own:
        made.load_cert_chain(own.certificate, own.key)
    return made


class TlsClient(Client):
    """TLS over the connection of a case. Raises `ssl.SSLError` when the proxy refuses the handshake."""

    def __init__(
        self,
        client: Client,
        settings: ssl.SSLContext,
        name: str | None = "a.test",
        session: ssl.SSLSession | None = None,
    ):
        self.deadline = client.deadline
        # A copy: the case goes on with its own, which is shut down when everything is said.
        raw = client.sock.dup()
        self.sock = settings.wrap_socket(
            raw, server_hostname=name, session=session, suppress_ragged_eofs=False
        )
        self.reader = Reader(self.sock, self.deadline)

    @property
    def shown(self) -> str:
        """The host of the certificate that the proxy has shown."""
        names = (self.sock.getpeercert() or {}).get("subjectAltName", ())
        return ", ".join(name for _, name in names)
