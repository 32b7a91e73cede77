# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that gives the example workflows something to work on, before users connect their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy_api.latest import InputImpl, io

from ..video.frames import to_floats
from ..video.reader import probe, read_frames
from .errors import InputError
from .schema import CATEGORY, inp, schema

EXAMPLES = Path(__file__).resolve().parent.parent / "workflows" / "inputs"
SUFFIXES = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".gif", ".png", ".jpg", ".jpeg", ".webp"}


class LoadExample(io.ComfyNode):
    """A shipped clip or picture, or one of the input folder, as VIDEO and IMAGE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeLoadExample",
            display_name="Load Example",
            category=CATEGORY,
            description="A small clip or picture that comes with the pack, so that the example workflows run at once. "
            "Put Load Video or Load Image in its place to use your own; files of the input folder are listed, too.",
            search_aliases=["example video", "sample clip"],
            inputs=[
                inp(
                    io.Combo.Input, "file", options=list_files(), default=next(iter(shipped()), ""),
                    image_folder=io.FolderType.input,
                    tooltip="The clip or picture: first those that come with the pack, then those of the input folder.",
                )
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The clip; a picture is a clip of one frame."),
                io.Image.Output(display_name="image", tooltip="The picture, or the clip's first frame."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        """Load; see the schema."""
        path = find_file(file)
        probe(path)
        first = next(iter(read_frames(path)))
        return io.NodeOutput(InputImpl.VideoFromFile(str(path)), to_floats(first)[None].to(torch.float32))

    @classmethod
    def fingerprint_inputs(cls, file: str) -> Any:
        """Load again when the file has changed."""
        try:
            state = find_file(file).stat()
        except (InputError, OSError):
            return file
        return f"{file} {state.st_mtime_ns} {state.st_size}"


def shipped() -> list[str]:
    """Names of the files that come with the pack."""
    return sorted(path.name for path in EXAMPLES.glob("*") if path.suffix in SUFFIXES)


def list_files() -> list[str]:
    """Names that can be loaded: the shipped ones, then those of the host's input folder."""
    folder = folder_paths.get_input_directory()
    own = sorted(entry.name for entry in os.scandir(folder) if entry.is_file()) if os.path.isdir(folder) else []
    known = shipped()
    return known + [name for name in own if Path(name).suffix.lower() in SUFFIXES and name not in known]


def find_file(name: str) -> Path:
    """Return the file of a listed name. Raises InputError for any other, so that no name leaves the folders."""
    if name not in list_files():
        raise InputError(
            f"There is no file {name!r}: choose one of the list, or put it into {folder_paths.get_input_directory()}."
        )
    return EXAMPLES / name if name in shipped() else Path(folder_paths.get_input_directory()) / name
