# SPDX-License-Identifier: GPL-3.0-or-later
"""The node that holds a storyboard: checked, with its cast, as the text that Shots and Long Video take."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..language.storyboard import StoryboardError, parse_storyboard
from .errors import InputError
from .file_names import find_file
from .schema import CATEGORY, inp, schema

EXAMPLE = """cast Mia: a red panda
0-2s: Mia walks to the right in the forest in the snow
2-4s: glide, Mia walks to the right in the forest at night
4-6s: cut, a penguin jumps on the beach"""


class StoryboardNode(io.ComfyNode):
    """A storyboard, text or JSON, to the text of a prompt schedule and to JSON."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node to the host."""
        return schema(
            node_id="SpacetimeStoryboard",
            display_name="Storyboard",
            category=f"{CATEGORY}/operations",
            description="The shots of a video, on a timeline or as text: their lengths, prompts and cuts, and a cast "
            "whose looks are stated once and said again in every shot. Give its shots to Shots, or to Prompt Schedule "
            "for Long Video.",
            search_aliases=["storyboard", "timeline", "shot list", "prompt schedule", "script"],
            inputs=[
                inp(
                    io.String.Input, "storyboard", default=EXAMPLE, multiline=True,
                    tooltip='A line for each shot: "0-3s: a duck walks" or "3 s: a duck walks". Behind the colon may '
                    'stand "cut," (a new scene), "continue," (the same scene goes on) or "glide," (the prompt changes '
                    'little by little). "cast Mia: a red panda" says what Mia looks like wherever the name stands. Or '
                    "JSON.",
                )
            ],
            outputs=[
                io.String.Output(display_name="shots", tooltip="The shots as text, with the cast's looks in each one."),
                io.String.Output(display_name="json", tooltip="The storyboard as JSON, for scripts; it is read again."),
                io.Float.Output(display_name="seconds", tooltip="Length of the whole."),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, storyboard: str | None = None) -> bool | str:
        """Refuse a storyboard that cannot be read before anything runs."""
        return check_storyboard(storyboard)

    @classmethod
    def fingerprint_inputs(cls, storyboard: str | None = None) -> str:
        """Run again when a picture that the storyboard names has changed: what comes after reads it."""
        return state_of_pictures(storyboard)

    @classmethod
    def execute(cls, storyboard: str) -> io.NodeOutput:
        """Read it; see the schema."""
        board = parse_storyboard(storyboard)
        said = type(board)(tuple(board.schedule()))
        return io.NodeOutput(said.to_text(), board.to_json(), board.seconds)


def check_storyboard(text: Any) -> bool | str:
    """Return True, or what is wrong with a storyboard; one that comes over a link (None) is read when it runs."""
    if text is None:
        return True
    try:
        parse_storyboard(text)
    except StoryboardError as error:
        return str(error)
    return True


def state_of_pictures(text: Any) -> str:
    """Return what changes with the pictures that a storyboard names: their names, times and sizes.

    Of one that comes over a link (None) nothing is known.
    """
    try:
        shots = parse_storyboard(text).shots if text else ()
    except StoryboardError:  # validate_inputs says so
        return ""
    return "\n".join(_state(name) for name in dict.fromkeys(shot.picture for shot in shots) if name)


def _state(name: str) -> str:
    try:
        state = find_file(name).stat()
    except (InputError, OSError):
        return name
    return f"{name} {state.st_mtime_ns} {state.st_size}"


NODES = [StoryboardNode]
