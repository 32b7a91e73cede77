# SPDX-License-Identifier: GPL-3.0-or-later
"""Content Credentials: what a file claims, that a change shows, and that the key stays private."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("c2pa", reason='pip install "c2pa-python>=0.38,<1"')

from comfyui_spacetime.video import credentials
from comfyui_spacetime.video.certificate import known_issuers, load_identity
from comfyui_spacetime.video.credentials import Claim, sign, verify
from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.reader import read_frames
from comfyui_spacetime.video.writer import VideoWriter, write_all, write_video

KINDS = [("mp4", "h264", "mp4"), ("mov", "prores", "mov"), ("gif", "gif", "gif"), ("webp", "webp", "webp"),
         ("apng", "apng", "png")]  # fmt: skip


def moving(count=6):
    for index in range(count):
        frame = np.full((48, 64, 3), 40 * index, np.uint8)
        frame[4 * index : 4 * index + 8] = 255
        yield frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a local certificate."""
    folder = tmp_path_factory.mktemp("user") / "credentials"
    load_identity(folder)
    return folder


@pytest.fixture
def signed(tmp_path, folder):
    """A signed mp4."""
    path = tmp_path / "a.mp4"
    write_video(path, moving(), fps=8, metadata={"workflow": {"nodes": []}})
    sign(path, "video/mp4", Claim("a.mp4", models=("nano.safetensors",), version="1.2"), load_identity(folder))
    return path


@pytest.mark.parametrize(("container", "codec", "suffix"), KINDS)
def test_a_signed_file_says_it_is_ai_generated_and_by_which_model(tmp_path, folder, container, codec, suffix):
    path = tmp_path / f"a.{suffix}"
    write_all(VideoWriter(path, fps=8, container=container, codec=codec), moving())
    before = list(read_frames(path))
    media_type = credentials.media_type_of(path)
    sign(path, media_type, Claim("a", models=("nano.safetensors", "style.safetensors")), load_identity(folder))
    report = verify(path, known_issuers(folder))
    assert report.signed and report.intact and report.own and report.source == "AI-generated"
    assert report.models == ("nano.safetensors", "style.safetensors")
    assert all(np.array_equal(a, b) for a, b in zip(read_frames(path), before, strict=True))
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_statement_names_the_kind_of_source_in_the_words_of_the_standard():
    actions = json.loads(credentials.manifest(Claim("a"), "video/mp4"))["assertions"][0]["data"]["actions"]
    assert actions[0]["action"] == "c2pa.created"
    assert actions[0]["digitalSourceType"].endswith("/digitalsourcetype/trainedAlgorithmicMedia")


def test_input_clips_are_named_with_what_they_claim_themselves(tmp_path, folder, signed):
    plain, webm, broken = (tmp_path / name for name in ("plain.mp4", "b.webm", "broken.mp4"))
    write_video(plain, moving(), fps=8)
    write_video(webm, moving(), fps=8, container="webm", codec="vp9")
    broken.write_bytes(b"this is no video")
    target = tmp_path / "c.mp4"
    shutil.copy(plain, target)
    sign(target, "video/mp4", Claim("c.mp4", inputs=(signed, plain, webm, broken)), load_identity(folder))
    report = verify(target, known_issuers(folder))
    assert report.intact and sorted(report.inputs) == [
        "a.mp4, with credentials of its own", "b.webm", "broken.mp4", "plain.mp4"]  # fmt: skip


def test_a_converted_file_does_not_claim_to_be_generated(tmp_path, folder, signed):
    target = tmp_path / "b.mp4"
    write_video(target, moving(), fps=8)
    sign(target, "video/mp4", Claim("b.mp4", generated=False, inputs=(signed,)), load_identity(folder))
    report = verify(target)
    assert report.source == "An edited or converted file" and report.inputs == ("a.mp4, with credentials of its own",)


@pytest.mark.parametrize("place", [0.3, 0.5, 0.9])
def test_a_single_changed_byte_shows(signed, folder, place):
    data = bytearray(signed.read_bytes())
    at = data.index(b"mdat") + 8
    data[at + int(place * (len(data) - at - 200) / 10)] ^= 1
    signed.write_bytes(data)
    report = verify(signed, known_issuers(folder))
    assert report.signed and not report.intact and report.faults
    assert "ALTERED" in report.text() and "can no longer be relied on" in report.text()


def test_a_copy_of_the_streams_loses_the_statement(signed, tmp_path):
    write_video(tmp_path / "b.mp4", read_frames(signed), fps=8)
    report = verify(tmp_path / "b.mp4")
    assert not report.signed and "no Content Credentials" in report.text()


def test_a_cut_off_file_cannot_be_checked(signed):
    signed.write_bytes(signed.read_bytes()[:-400])
    assert not verify(signed).intact and "damaged" in verify(signed).text()


def test_a_kind_of_file_that_carries_none_is_named(tmp_path):
    write_video(tmp_path / "a.webm", moving(), fps=8, container="webm", codec="vp9")
    assert ".webm files cannot carry Content Credentials" in verify(tmp_path / "a.webm").text()


def test_a_foreign_certificate_is_told_from_the_own_one(signed, folder, tmp_path):
    load_identity(tmp_path / "other")
    report = verify(signed, known_issuers(tmp_path / "other"))
    assert report.intact and not report.own and "not known here" in report.text()
    assert "this ComfyUI's own certificate" in verify(signed, known_issuers(folder)).text()


def test_somebody_elses_certificate_of_the_same_authority_is_not_the_own_one(signed, folder):
    issuer = known_issuers(folder).split("-----END CERTIFICATE-----\n")[1] + "-----END CERTIFICATE-----\n"
    report = verify(signed, issuer)  # as if only the authority were ours
    assert report.intact and report.known and not report.own and "by the authority" in report.text()


def test_nothing_is_asked_of_the_network():
    assert credentials.OFFLINE["verify"] | {"remote_manifest_fetch": False, "ocsp_fetch": False} == (
        credentials.OFFLINE["verify"])  # fmt: skip


def test_a_file_that_cannot_be_signed_stays_as_it_was(tmp_path, folder):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"cannot be signed.*Switch credentials off"):
        sign(tmp_path / "a.mp4", "video/mp4", Claim("a"), load_identity(folder))
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"] and (tmp_path / "a.mp4").read_bytes() == b"no video"


# -- the certificate -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such permissions")
def test_the_key_is_for_its_owner_alone(tmp_path):
    load_identity(tmp_path / "credentials")
    key = tmp_path / "credentials" / "private_key.pem"
    assert key.stat().st_mode & 0o777 == 0o600 and (tmp_path / "credentials").stat().st_mode & 0o777 == 0o700
    key.chmod(0o644)
    load_identity(tmp_path / "credentials")
    assert key.stat().st_mode & 0o777 == 0o600


def test_the_certificate_is_made_once(tmp_path):
    assert load_identity(tmp_path / "a").chain == load_identity(tmp_path / "a").chain
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["certificate.pem", "private_key.pem"]


def test_the_key_shows_up_in_no_text_and_no_file(signed, folder):
    identity = load_identity(folder)
    assert "PRIVATE" not in repr(identity) and b"PRIVATE" not in signed.read_bytes()
    secret = identity.key.splitlines()[1]
    assert secret not in signed.read_bytes()


def test_a_certificate_of_ones_own_is_used(tmp_path, signed):
    """RSA, as authorities give it out, in the format of OpenSSL."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    from comfyui_spacetime.video import certificate

    key, issuer_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    name, issuer = certificate._name("Jane Artist"), certificate._name("An authority")
    leaf = (
        certificate._begin(name, issuer, key.public_key())
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(certificate._usage(x509, issues=False), True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
        .sign(issuer_key, hashes.SHA256())
    )
    own = tmp_path / "own"
    own.mkdir()
    (own / "certificate.pem").write_bytes(leaf.public_bytes(form.Encoding.PEM))
    (own / "private_key.pem").write_bytes(
        key.private_bytes(form.Encoding.PEM, form.PrivateFormat.TraditionalOpenSSL, form.NoEncryption())
    )
    target = tmp_path / "b.mp4"
    write_video(target, moving(), fps=8)
    sign(target, "video/mp4", Claim("b"), load_identity(own))
    assert verify(target).intact and verify(target).signer == "Jane Artist"


def test_a_key_that_does_not_belong_is_refused(tmp_path):
    load_identity(tmp_path / "a")
    load_identity(tmp_path / "b")
    shutil.copy(tmp_path / "b" / "private_key.pem", tmp_path / "a" / "private_key.pem")
    with pytest.raises(VideoError, match="is not the key of"):
        load_identity(tmp_path / "a")


def test_half_an_identity_is_not_replaced(tmp_path):
    load_identity(tmp_path / "a")
    (tmp_path / "a" / "private_key.pem").unlink()
    with pytest.raises(VideoError, match=r"There is no private_key\.pem"):
        load_identity(tmp_path / "a")
    assert (tmp_path / "a" / "certificate.pem").exists()


def test_what_is_no_certificate_is_named(tmp_path):
    load_identity(tmp_path / "a")
    (tmp_path / "a" / "certificate.pem").write_text("hello")
    with pytest.raises(VideoError, match="cannot be read"):
        load_identity(tmp_path / "a")


def test_without_the_package_verifying_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(credentials, "available", lambda: False)
    with pytest.raises(VideoError, match=r'pip install "c2pa-python'):
        verify(tmp_path / "a.mp4")


def test_importing_the_rooms_needs_no_package_of_credentials():
    code = (
        "import sys; sys.modules['c2pa'] = None; sys.modules['cryptography'] = None; sys.path.insert(0, sys.argv[1]); "
        "import entry; sys.path.pop(0); entry.load_package(); import comfyui_spacetime.video.credentials as c; "
        "import comfyui_spacetime.video.certificate"
    )
    host = Path(__file__).resolve().parent.parent / "host"
    assert subprocess.run([sys.executable, "-P", "-c", code, str(host)], check=False).returncode == 0
