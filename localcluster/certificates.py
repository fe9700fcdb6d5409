"""A certificate authority and its certificates, created with openssl."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.command import run

# A CA lives as long as its cluster.
_DAYS = "825"
_REMEDY = "Install the Debian package openssl."


@dataclass(frozen=True)
class Certificate:
    """A PEM certificate and its private key."""

    certificate: Path
    key: Path


def make_key(path: Path) -> Path:
    """Write a new P-256 private key, readable by its owner only."""
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], remedy=_REMEDY)
    path.chmod(0o600)
    return path


def make_authority(folder: Path) -> Certificate:
    """Create the self-signed certificate authority of a cluster in the folder, or return the existing one."""
    issued = Certificate(folder / "ca.crt", folder / "ca.key")
    if not issued.certificate.exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_key(issued.key)
        run(
            ["openssl", "req", "-x509", "-new", "-key", issued.key, "-sha256", "-days", _DAYS, "-subj",
             "/CN=compression-operator-local-ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
             "-out", issued.certificate],
            remedy=_REMEDY,
        )  # fmt: skip
    return issued


def make_client(authority: Certificate, folder: Path, user: str, groups: Sequence[str] = ()) -> Certificate:
    """Sign a client certificate: Kubernetes reads the user from CN and the groups from O."""
    name = user.replace(":", "-").replace("/", "-")
    subject = "".join(f"/O={_escaped(group)}" for group in groups) + f"/CN={_escaped(user)}"
    return _sign(authority, folder, name, subject, "extendedKeyUsage=clientAuth")


def make_server(authority: Certificate, folder: Path, name: str, addresses: Sequence[str]) -> Certificate:
    """Sign a server certificate for IP addresses and DNS names."""
    names = ",".join(("IP:" if address[0].isdigit() else "DNS:") + address for address in addresses)
    return _sign(authority, folder, name, f"/CN={name}", f"extendedKeyUsage=serverAuth\nsubjectAltName={names}")


def _sign(authority: Certificate, folder: Path, name: str, subject: str, extensions: str) -> Certificate:
    folder.mkdir(parents=True, exist_ok=True)
    issued = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    request, config = folder / f"{name}.csr", folder / f"{name}.ext"
    make_key(issued.key)
    config.write_text(f"keyUsage=critical,digitalSignature\n{extensions}\n")
    run(["openssl", "req", "-new", "-key", issued.key, "-subj", subject, "-out", request], remedy=_REMEDY)
    run(
        ["openssl", "x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key, "-sha256",
         "-CAcreateserial", "-days", _DAYS, "-extfile", config, "-out", issued.certificate],
        remedy=_REMEDY,
    )  # fmt: skip
    request.unlink()
    config.unlink()
    return issued


def _escaped(value: str) -> str:
    return value.replace("/", "\\/")
