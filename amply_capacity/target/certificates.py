"""A throw-away certificate authority and the one server certificate of a local cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from amply_capacity.target.private import write_private

__all__ = ["CertificateFiles", "make_certificates"]

NAMES = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the PEM files of a cluster lie; the authority's own key is never written."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def below(cls, directory: Path) -> CertificateFiles:
        return cls(directory / "ca.pem", directory / "server.pem", directory / "server.key")


def make_certificates(directory: Path) -> CertificateFiles:
    """Make an authority, and a server certificate for loopback signed by it, in files of mode 0600.

    All servers of a cluster share the certificate: they are told apart by their ports.
    """
    import trustme

    files = CertificateFiles.below(directory)
    authority = trustme.CA()
    server = authority.issue_cert(*NAMES)
    write_private(files.authority, authority.cert_pem.bytes().decode())
    write_private(files.certificate, "".join(blob.bytes().decode() for blob in server.cert_chain_pems))
    write_private(files.key, server.private_key_pem.bytes().decode())
    return files
