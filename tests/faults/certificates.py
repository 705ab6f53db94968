"""Certificates made with openssl when a test needs them. Knows nothing of Greenroom."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

OPENSSL = shutil.which("openssl")

_AUTHORITY = """\
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
basicConstraints = CA:TRUE
subjectAltName = {name}
"""


class Certificate(NamedTuple):
    """A certificate signed with its own key, so that it is also what to trust it by."""

    cert: Path
    key: Path

    def serving(self) -> ssl.SSLContext:
        """For the side that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context

    def trusting(self) -> ssl.SSLContext:
        """For a side that trusts this certificate and no other."""
        return ssl.create_default_context(cafile=str(self.cert))


def make_certificate(folder: Path, name: str = "IP:127.0.0.1", *, expired: bool = False) -> Certificate:
    """A certificate for `name` ("IP:…" or "DNS:…"), valid for years or ended in 2020."""
    assert OPENSSL is not None
    folder.mkdir(parents=True)
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n", encoding="ascii")
    (folder / "authority.cnf").write_text(_AUTHORITY.format(name=name), encoding="ascii")
    begin, end = ("20200101000000Z", "20200201000000Z") if expired else ("20200101000000Z", "20490101000000Z")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    for arguments in (
        ["req", "-new", *curve, "-nodes", "-subj", "/CN=scripted", "-keyout", "key.pem", "-out", "request.pem"],
        [
            "ca", "-batch", "-notext", "-config", "authority.cnf", "-selfsign", "-keyfile", "key.pem",
            "-in", "request.pem", "-out", "cert.pem", "-startdate", begin, "-enddate", end,
        ],
    ):  # fmt: skip
        subprocess.run([OPENSSL, *arguments], cwd=folder, check=True, capture_output=True, timeout=20)
    return Certificate(folder / "cert.pem", folder / "key.pem")
