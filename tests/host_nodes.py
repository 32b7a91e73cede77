# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for the tests of running workflows; copied into the host's custom_nodes by ``host_fixtures``."""

import os
import time

import comfy.utils
import folder_paths


class Steps:
    """Takes ``steps`` progress steps of ``pause`` seconds each."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"steps": ("INT", {"default": 3}), "pause": ("FLOAT", {"default": 0.0, "step": 0.01})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    CATEGORY = "tests"
    OUTPUT_NODE = True

    def run(self, steps, pause):
        bar = comfy.utils.ProgressBar(steps)
        for _ in range(steps):
            time.sleep(pause)
            bar.update(1)
        return (steps,)


class Fails:
    """Fails with the given sentence."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"message": ("STRING", {"default": "it broke"})}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "tests"
    OUTPUT_NODE = True

    def run(self, message):
        raise ValueError(message)


class SavesSlowly:
    """Begins a file in the output folder, then takes its time, and may fail before it is whole."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "filename_prefix": ("STRING", {"default": "slow"}),
                "steps": ("INT", {"default": 3}),
                "fails": ("BOOLEAN", {"default": False}),
            }
        }

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "tests"
    OUTPUT_NODE = True

    def run(self, filename_prefix, steps, fails):
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory()
        )
        file = f"{name}_{counter:05}_.txt"
        with open(os.path.join(folder, file), "w") as target:
            target.write("half")
            target.flush()
            bar = comfy.utils.ProgressBar(steps)
            for _ in range(steps):
                time.sleep(0.02)
                bar.update(1)
            if fails:
                raise OSError("the disk is full")
            target.write(" and whole")
        return {"ui": {"files": [{"filename": file, "subfolder": subfolder, "type": "output"}]}}


class Double:
    """A small random model of a family, where a workflow has the loaders of its files."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"family": ("STRING", {"default": "wan22"})}}

    RETURN_TYPES = ("MODEL", "CLIP", "VAE", "CLIP_VISION")
    FUNCTION = "load"
    CATEGORY = "tests"

    def load(self, family):
        import model_doubles

        made = model_doubles.double(family)
        return made.model, made.clip, made.vae, model_doubles.Eyes()


NODE_CLASS_MAPPINGS = {"TestSteps": Steps, "TestFails": Fails, "TestSavesSlowly": SavesSlowly, "TestDouble": Double}
NODE_DISPLAY_NAME_MAPPINGS = {name: name.removeprefix("Test") for name in NODE_CLASS_MAPPINGS}
NODE_DISPLAY_NAME_MAPPINGS["TestSavesSlowly"] = "Saves Slowly"
