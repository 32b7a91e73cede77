# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of files in a workflow: they stay inside the host's input, output and temp folders, whatever they say."""

from __future__ import annotations

import os
from pathlib import Path

import folder_paths

from .errors import InputError

MOVING = (".gif", ".webp", ".apng")  # pictures that may move
MOST_LISTED = 2000


def list_videos() -> list[str]:
    """Return the names of the videos in the input folder and the folders in it."""
    root = folder_paths.get_input_directory()
    names: list[str] = []
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        chosen = set(folder_paths.filter_files_content_types(files, ["video"]))
        chosen |= {name for name in files if name.lower().endswith(MOVING)}
        names += [Path(folder, name).relative_to(root).as_posix() for name in chosen if not name.startswith(".")]
        if len(names) >= MOST_LISTED:
            break
    return sorted(names)[:MOST_LISTED]


def find_file(name: str) -> Path:
    """Return the file of a name such as "clip.mp4", "shots/clip.mp4" or "clip.mp4 [output]".

    Raises InputError for a name that is no file and for one that leads out of the host's folders.
    """
    plain, folder = _folder_of(name.strip())
    root = os.path.abspath(folder)
    path = os.path.abspath(os.path.join(root, plain))
    if not plain or not inside(root, path) or "\0" in plain:
        raise InputError(f'"{name}" leads out of {root}: put the file into that folder and give its name.')
    if not os.path.isfile(path):
        raise InputError(f'There is no file "{plain}" in {root}: choose one from the list, or upload it.')
    return Path(path)


def inside(root: str, path: str) -> bool:
    """Whether an absolute path lies in the folder ``root``, or is it."""
    try:
        return os.path.commonpath((root, path)) == root
    except ValueError:  # on another drive of Windows
        return False


def _folder_of(name: str) -> tuple[str, str]:
    folders = {
        "[output]": folder_paths.get_output_directory,
        "[input]": folder_paths.get_input_directory,
        "[temp]": folder_paths.get_temp_directory,
    }
    for mark, folder in folders.items():
        if name.endswith(mark):
            return name[: -len(mark)].strip(), folder()
    return name, folder_paths.get_input_directory()
