# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that signs Content Credentials: the user's own, or a local one made on first use.

Both lie in one folder as ``certificate.pem`` (the signer's first, then its issuers) and ``private_key.pem``, which only
the user may read. Whoever has a certificate of an authority puts it there under these names.
"""

from __future__ import annotations

import datetime
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import VideoError

log = logging.getLogger(__name__)
CERTIFICATE, PRIVATE_KEY = "certificate.pem", "private_key.pem"
LOCAL_NAME = "ComfyUI-Spacetime (local, made on this computer)"
YEARS = 10


@dataclass(frozen=True)
class Identity:
    """A certificate chain and its key, as PEM; ``algorithm`` is C2PA's name for how it signs."""

    chain: bytes
    key: bytes
    algorithm: str

    def __repr__(self) -> str:
        return f"Identity({self.algorithm})"  # a key must not show up in a log


def load_identity(folder: Path) -> Identity:
    """Return the identity in ``folder``, made there if there is none.

    Raises VideoError for files that do not belong together or cannot be read.
    """
    certificate, key = folder / CERTIFICATE, folder / PRIVATE_KEY
    if not certificate.exists() and not key.exists():
        _make_local(folder)
    for path in (certificate, key):
        if not path.is_file():
            raise VideoError(f"There is no {path.name} in {folder}: put it beside the other file, or remove both.")
    _make_private(key)
    return _checked(certificate.read_bytes(), key.read_bytes(), folder)


def known_issuers(folder: Path) -> str:
    """Return the certificates of ``folder`` as PEM, to know one's own signatures by; nothing if there are none."""
    path = folder / CERTIFICATE
    return path.read_text(encoding="ascii", errors="replace") if path.is_file() else ""


def serial_of(chain: str) -> str:
    """Return the serial number of the first certificate of a PEM text, nothing if there is none."""
    from cryptography import x509

    try:
        return str(x509.load_pem_x509_certificates(chain.encode())[0].serial_number)
    except (ValueError, IndexError):
        return ""


def _checked(chain: bytes, pem: bytes, folder: Path) -> Identity:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as form

    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        key: Any = form.load_pem_private_key(pem, None)
    except (ValueError, TypeError, IndexError) as error:
        raise VideoError(f"The certificate or its key in {folder} cannot be read: {error}.") from None
    public = (form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*public) != leaf.public_key().public_bytes(*public):
        raise VideoError(f"{PRIVATE_KEY} in {folder} is not the key of {CERTIFICATE}.")
    if leaf.not_valid_after_utc < datetime.datetime.now(datetime.UTC):
        raise VideoError(
            f"The certificate in {folder} ended on {leaf.not_valid_after_utc:%Y-%m-%d}: replace it, or remove both."
        )
    private = (form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    return Identity(chain, key.private_bytes(*private), _algorithm(key, folder))


def _algorithm(key: Any, folder: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        names = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
        if key.curve.name in names:
            return names[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    raise VideoError(f"The key in {folder} is of a kind that C2PA does not sign with: use P-256, RSA or Ed25519.")


def _make_local(folder: Path) -> None:
    """Write a certificate whose issuer exists only for it: it proves that files are unaltered, not who made them."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec

    issuer_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer_name, name = _name(LOCAL_NAME + " issuer"), _name(LOCAL_NAME)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    issuer = (
        _begin(issuer_name, issuer_name, issuer_key.public_key())
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(_usage(x509, issues=True), True)
        .sign(issuer_key, hashes.SHA256())
    )
    leaf = (
        _begin(name, issuer_name, key.public_key())
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(_usage(x509, issues=False), True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(identifier, False)
        .sign(issuer_key, hashes.SHA256())
    )
    pem = form.Encoding.PEM
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / PRIVATE_KEY, key.private_bytes(pem, form.PrivateFormat.PKCS8, form.NoEncryption()))
    _write(folder / CERTIFICATE, leaf.public_bytes(pem) + issuer.public_bytes(pem))
    log.info("Made a certificate for Content Credentials in %s.", folder)


def _begin(name: Any, issuer: Any, public: Any) -> Any:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(public)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    )


def _name(text: str) -> Any:
    from cryptography import x509

    oid = x509.NameOID
    return x509.Name(
        [x509.NameAttribute(oid.ORGANIZATION_NAME, "ComfyUI-Spacetime"), x509.NameAttribute(oid.COMMON_NAME, text)]
    )


def _usage(x509: Any, issues: bool) -> Any:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    return x509.KeyUsage(
        digital_signature=not issues,
        key_cert_sign=issues,
        crl_sign=issues,
        decipher_only=False,
        **dict.fromkeys(others, False),
    )


def _write(path: Path, data: bytes) -> None:
    """Write a file that only the user may read, whole or not at all; one that is there stays."""
    beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    if os.name != "nt" and path.stat().st_mode & 0o077:
        log.warning("%s could be read by others: its permissions are now those of its owner alone.", path)
        path.chmod(0o600)
