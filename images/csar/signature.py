"""Signatures (CMS, RFC 5652) over the manifest, made and verified by openssl."""

import subprocess
import tempfile
from pathlib import Path

from . import Wrong


def make(text: str, key: Path, certificate: Path, chain: Path | None = None) -> str:
    """The signature in PEM; the certificate is in it, and those of `chain`."""
    for file in (key, certificate, chain):
        if file and not file.is_file():
            raise Wrong(f"{file}: there is no such file to sign with")
    more = ["-certfile", str(chain)] if chain else []
    return _openssl(
        text,
        ["-sign", "-binary", "-md", "sha256", "-outform", "PEM"]
        + ["-signer", str(certificate), "-inkey", str(key)]
        + more,
        f"{certificate}: cannot sign with it",
    )


def verify(text: str, signature: str, authorities: Path | None) -> str:
    """Who signed, as the certificate names them. Without `authorities` they may be anybody."""
    if authorities and not authorities.is_file():
        raise Wrong(f"{authorities}: there is no such file of certificates")
    trust = ["-CAfile", str(authorities)] if authorities else ["-noverify"]
    with tempfile.TemporaryDirectory() as directory:
        pem, signer = Path(directory, "signature"), Path(directory, "signer")
        pem.write_text(signature)
        _openssl(
            text,
            ["-verify", "-binary", "-inform", "PEM", "-in", str(pem), "-content", "/dev/stdin"]
            # What signs packages need not be a certificate for e-mail.
            + ["-purpose", "any", "-signer", str(signer), "-out", "/dev/null"]
            + trust,
            "the manifest's signature is not good",
        )
        show = ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", str(signer)]
        subject = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    return subject.strip().removeprefix("subject=")


def _openssl(text: str, arguments: list[str], wrong: str) -> str:
    command = ["openssl", "cms", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [_reason(line) for line in done.stderr.splitlines() if line.strip()]
        raise Wrong(f"{wrong}: openssl says: {'; '.join(lines[-2:])}")
    return done.stdout


def _reason(line: str) -> str:
    """The words of an error, without thread and place in openssl's source."""
    parts = line.split(":")
    return " ".join(filter(None, parts[5:6] + parts[8:])) if len(parts) > 8 else line.strip()
