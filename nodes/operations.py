# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes that work on images and videos, in the order of the menu."""

from __future__ import annotations

from . import animate, connect, edit, example, extend, finish, glide, long_video, prompts, shots, storyboard

NODES = [
    example.LoadExample,
    animate.AnimateImage,
    animate.AddKeyframe,
    animate.Cinemagraph,
    extend.ExtendVideo,
    connect.LoopVideo,
    connect.ConnectVideos,
    edit.EditVideo,
    edit.ExtendCanvas,
    *storyboard.NODES,
    shots.Shots,
    glide.GlidePrompts,
    prompts.PromptSchedule,
    long_video.LongVideo,
    finish.FinishVideo,
]
