# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Content Credentials of a file claim, and whether the file was altered after it was signed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import InputImpl, io, ui

from ..video.certificate import known_issuers
from ..video.credentials import verify
from .errors import InputError
from .file_names import find_file, list_videos
from .provenance import credentials_folder
from .schema import CATEGORY, inp, schema

NONE = ""


class VerifyVideo(io.ComfyNode):
    """A file to what it claims of itself."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeVerifyVideo",
            display_name="Verify Video",
            category=f"{CATEGORY}/video",
            description="Show what the Content Credentials (C2PA) of a file say: whether it is AI-generated, by which "
            "model and from which files, who signed that, and whether the file was altered since. Nothing is sent "
            "anywhere. Without a signature nothing can be said about a file.",
            search_aliases=["c2pa", "content credentials", "provenance", "ai generated"],
            inputs=[
                inp(
                    io.Combo.Input,
                    "file",
                    options=[NONE, *list_videos()],
                    default=NONE,
                    upload=io.UploadType.video,
                    tooltip="A file in ComfyUI's input folder; not needed where a video is connected.",
                ),
                inp(
                    io.Video.Input,
                    "video",
                    optional=True,
                    tooltip="A video that is a file: from Load Video or Save Video.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="report", tooltip="What the file claims, in words."),
                io.Boolean.Output(display_name="signed", tooltip="Whether it carries Content Credentials."),
                io.Boolean.Output(display_name="unaltered", tooltip="Whether it is signed and as it was signed."),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, file: str) -> bool | str:
        """Check the file's name before anything runs."""
        try:
            if file:
                find_file(file)
        except InputError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        """Look again every time: the file may have changed."""
        return float("nan")

    @classmethod
    def execute(cls, file: str = NONE, video: Any = None) -> io.NodeOutput:
        """Read the claims; see the schema."""
        path = find_file(file) if video is None and file else _file_of(video)
        report = verify(path, known_issuers(credentials_folder()))
        text = report.text()
        return io.NodeOutput(text, report.signed, report.signed and report.intact, ui=ui.PreviewText(text))


def _file_of(video: Any) -> Path:
    if video is None:
        raise InputError("There is nothing to verify: choose a file, or connect a video that is one.")
    path = getattr(video, "path", None)
    if path is None and isinstance(video, InputImpl.VideoFromFile):
        path = video.get_stream_source()
    if not isinstance(path, (str, Path)):
        raise InputError("The connected video is not a file yet: save it, and connect what Save Video gives.")
    return Path(path)


NODES = [VerifyVideo]
