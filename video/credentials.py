# SPDX-License-Identifier: GPL-3.0-or-later
"""Content Credentials (C2PA): a signed statement inside a file of how it was made, and what such a statement says.

Everything happens on this computer: no time stamp is fetched, no certificate looked up, no remote statement opened.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .certificate import Identity, serial_of
from .errors import VideoError

log = logging.getLogger(__name__)
AI_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/composite"
SOURCE_TYPES = {
    "trainedAlgorithmicMedia": "AI-generated",
    "compositeWithTrainedAlgorithmicMedia": "partly AI-generated",
    "composite": "put together from several sources",
    "digitalCapture": "captured by a camera",
}
MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".avi": "video/avi",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".png": "image/png",
    ".apng": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
}
OFFLINE: dict[str, Any] = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "builder": {"thumbnail": {"enabled": False}},
}
INSTALL = 'install it into ComfyUI\'s Python with: pip install "c2pa-python>=0.38,<1"'


@dataclass(frozen=True)
class Claim:
    """What a file says of itself: whether a model made it, which ones, from which input files."""

    title: str
    generated: bool = True
    models: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    software: str = "ComfyUI-Spacetime"
    version: str = ""


@dataclass(frozen=True)
class Report:
    """What a file claims: ``signed`` whether it claims anything, ``intact`` whether it is as it was signed.

    ``own`` tells whether this computer's certificate signed it, ``known`` whether one of the same authority did;
    ``faults`` say what does not fit.
    """

    name: str
    signed: bool = False
    intact: bool = False
    own: bool = False
    known: bool = False
    signer: str = ""
    software: str = ""
    source: str = ""
    models: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    faults: tuple[str, ...] = field(default=())
    note: str = ""

    def text(self) -> str:
        """Return the report in plain words."""
        if not self.signed:
            return f"{self.name}: {self.note or 'no Content Credentials. The file says nothing about how it was made.'}"
        if self.intact:
            state = "not altered since it was signed."
        else:
            state = f"ALTERED after it was signed, or damaged ({'; '.join(self.faults)})."
        known = "not known here: anybody may have made this certificate"
        if self.known:
            known = "this ComfyUI's own certificate" if self.own else "by the authority that this ComfyUI's comes from"
        lines = [f"{self.name}: {state}"]
        if not self.intact:
            lines.append("What it claims, which can no longer be relied on:")
        lines.append(f"  {self.source or 'It does not say how it was made'}.")
        lines += [f"  Made with {self.software}."] if self.software else []
        lines += [f"  Model: {name}" for name in self.models] + [f"  Made from: {name}" for name in self.inputs]
        lines.append(f"  Signed by {self.signer or 'nobody named'} ({known}).")
        return "\n".join(lines)


def available() -> bool:
    """Whether the packages that sign are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("c2pa", "cryptography"))


def sign(path: Path, media_type: str, claim: Claim, identity: Identity) -> None:
    """Put a signed claim into the file at ``path``, in place; to be the last thing that is done to it.

    Raises VideoError when the file cannot be signed; it is then as it was.
    """
    import c2pa

    beside = path.with_name(path.name + "+")
    info: Any = c2pa.C2paSignerInfo(c2pa.C2paSigningAlg[identity.algorithm], identity.chain, identity.key, None)
    try:
        builder = _builder(claim, media_type)
        with path.open("rb") as source_file, beside.open("w+b") as target:
            builder.sign(c2pa.Signer.from_info(info), media_type, source_file, target)
        os.replace(beside, path)
    except c2pa.C2paError as error:
        raise VideoError(f"The file cannot be signed: {error}. Switch credentials off to save it unsigned.") from None
    finally:
        beside.unlink(missing_ok=True)


def _builder(claim: Claim, media_type: str) -> Any:
    """Return a statement with the input files in it, as far as they can be quoted; of the others it has the names."""
    import c2pa

    unread = {number for number, source in enumerate(claim.inputs) if media_type_of(source) is None}
    while True:
        builder = c2pa.Builder(manifest(claim, media_type, unread), _context(OFFLINE))
        for number, source in enumerate(claim.inputs):
            if number in unread:
                continue
            try:
                with source.open("rb") as file:
                    builder.add_ingredient(json.dumps(_part(claim, number)), str(media_type_of(source)), file)
            except (c2pa.C2paError, OSError) as error:
                log.info("%s is only named in the credentials: %s", source.name, error)
                unread.add(number)
                break
        else:
            return builder


def _part(claim: Claim, number: int) -> dict[str, Any]:
    return {"title": claim.inputs[number].name, "relationship": _relation(claim), "label": f"input{number}"}


def manifest(claim: Claim, media_type: str, unread: Collection[int] = ()) -> str:
    """Return the unsigned statement as JSON; of the input files it names those whose numbers are in ``unread``."""
    software = {"name": claim.software, **({"version": claim.version} if claim.version else {})}
    models = [
        {"title": name, "format": "application/octet-stream", "relationship": "inputTo", "label": f"model{number}",
         "data_types": [{"type": "c2pa.types.model"}]}
        for number, name in enumerate(claim.models)
    ]  # fmt: skip
    parts = [{**_part(claim, number), "format": "application/octet-stream"} for number in sorted(unread)]
    named = [entry["label"] for entry in models] + [f"input{number}" for number in range(len(claim.inputs))]
    action: dict[str, Any] = {"action": "c2pa.created", "softwareAgent": software}
    if claim.generated:
        action["digitalSourceType"] = AI_GENERATED
    elif _relation(claim) == "parentOf":
        action["action"] = "c2pa.opened"
    else:
        action["digitalSourceType"] = COMPOSITE
    if named:
        action["parameters"] = {"ingredientIds": named}
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [action]}}
    return json.dumps(
        {
            "claim_generator_info": [software],
            "title": claim.title,
            "format": media_type,
            "ingredients": [*models, *parts],
            "assertions": [actions],
        }
    )


def verify(path: Path, issuers: str = "") -> Report:
    """Return what a file claims and whether it was altered; ``issuers`` (PEM) are the certificates known as own.

    Raises VideoError where the packages are missing.
    """
    if not available():
        raise VideoError(f"Content Credentials need the package c2pa-python: {INSTALL}.")
    import c2pa

    media_type = media_type_of(path)
    if media_type is None:
        return Report(path.name, note=f"{path.suffix or 'such'} files cannot carry Content Credentials.")
    settings = {**OFFLINE, **({"trust": {"trust_anchors": issuers}} if issuers else {})}
    with path.open("rb") as file:
        try:
            reader = c2pa.Reader.try_create(media_type, file, context=_context(settings))
        except c2pa.C2paError as error:
            return Report(path.name, note=f"the file cannot be checked, it may be damaged ({error}).")
        if reader is None:
            return Report(path.name)
        state, found = reader.get_validation_state(), json.loads(reader.json())
        results = reader.get_validation_results() or {}
        reader.close()
    return _report(path.name, str(state), found, results, serial_of(issuers))


def media_type_of(path: Path) -> str | None:
    """Return the type under which a file carries credentials, None if its kind cannot."""
    return MEDIA_TYPES.get(path.suffix.lower())


def _report(name: str, state: str, found: dict[str, Any], results: dict[str, Any], own_serial: str) -> Report:
    claim = found["manifests"][found["active_manifest"]]
    failures = (results.get("activeManifest") or {}).get("failure") or []
    faults = [str(entry.get("explanation") or entry.get("code")) for entry in failures
              if "untrusted" not in str(entry.get("code"))]  # fmt: skip
    parts = claim.get("ingredients") or []
    models = [str(part.get("title")) for part in parts if _is_model(part)]
    inputs = [
        f"{part.get('title')}{', with credentials of its own' if part.get('active_manifest') else ''}"
        for part in parts
        if not _is_model(part)
    ]
    generator = (claim.get("claim_generator_info") or [{}])[0]
    signature = claim.get("signature_info") or {}
    return Report(
        name,
        signed=True,
        intact=state in ("Valid", "Trusted"),
        own=state == "Trusted" and str(signature.get("cert_serial_number")) == own_serial,
        known=state == "Trusted",
        signer=str(signature.get("common_name") or signature.get("issuer") or ""),
        software=f"{generator.get('name', '')} {generator.get('version', '')}".strip(),
        source=_source_of(claim),
        models=tuple(models),
        inputs=tuple(inputs),
        faults=tuple(faults),
    )


def _source_of(claim: dict[str, Any]) -> str:
    for assertion in claim.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in assertion["data"].get("actions") or []:
                kind = str(action.get("digitalSourceType", "")).rpartition("/")[2]
                if kind:
                    return SOURCE_TYPES.get(kind, kind)
                if action.get("action") == "c2pa.opened":
                    return "An edited or converted file"
    return ""


def _is_model(part: dict[str, Any]) -> bool:
    return any("model" in str(kind.get("type")) for kind in part.get("data_types") or [])


def _relation(claim: Claim) -> str:
    """One file that no model has touched is the parent of its copy; everything else went into something new."""
    return "parentOf" if not claim.generated and len(claim.inputs) == 1 else "inputTo"


def _context(settings: dict[str, Any]) -> Any:
    import c2pa

    return c2pa.Context(c2pa.Settings.from_dict(settings))
