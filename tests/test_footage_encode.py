# SPDX-License-Identifier: GPL-3.0-or-later
"""`./spacetime train footage`: a folder in, shards that the transformer's loader opens, and a report out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from footage_kit import FPS, shot, write
from tiny import CHANNELS, tiny_vae
from training_kit import write_made_up_latents

from comfyui_spacetime.training.footage import encode
from comfyui_spacetime.training.footage.listing import FootageError, Video
from comfyui_spacetime.training.latents import load_latents
from comfyui_spacetime.training.saves import RunError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "marked_vae", lambda path: (tiny_vae(), "tiny"))
    videos = tmp_path / "videos"
    videos.mkdir()
    write(videos / "a.mp4", np.concatenate([shot(1, 30), shot(2, 17)]), "a ball\na yellow ball")
    write(videos / "b.mp4", shot(3, 17), "another ball", fps=30)
    (videos / "broken.mp4").write_bytes((videos / "a.mp4").read_bytes()[:3000])
    (videos / "broken.txt").write_text("a ball", encoding="utf-8")
    return videos


def run(folder, *more):
    out = folder.parent / "latents"
    return encode.run(
        encode.parser().parse_args([str(folder), "--out", str(out), "--frames", "17", "--least", "9", *more])
    )


def test_a_folder_becomes_shards_that_the_training_loader_opens(folder):
    (folder / "broken.mp4").unlink()
    report = run(folder, "--held-out", "0.01")
    out = folder.parent / "latents"
    held = [line.file for line in report.files if line.split == "held-out"]
    assert len(held) == 1, "whole files are held out"
    clips = [one for split in ("train", "held out") for one in _load(out, split)]
    assert sorted(shape[0] for shape, _ in clips) == [4, 5, 5]
    texts = [text for _, loaded in clips for text in loaded.texts]
    assert {"clip": ["a ball", "a yellow ball"]} in texts and {"clip": ["another ball"]} in texts
    assert {rate for _, loaded in clips for rate in loaded.rates} == {FPS, 30}
    latent, cover = clips[0][1].read(0, 3)
    assert latent.shape == (CHANNELS, 3, 6, 10) and latent.dtype == torch.bfloat16
    assert cover.shape == (3, 6, 10) and 0 < cover.float().mean() <= 1
    assert {loaded.vae for _, loaded in clips} == {"tiny"}


def test_footage_is_not_added_to_latents_of_another_vae(folder):
    write_made_up_latents(folder.parent / "latents", vae="another")
    with pytest.raises(RunError, match=r"holds latents of another VAE .*give another --out"):
        run(folder)


def _load(out, split):
    try:
        return list(load_latents(out, split).items())
    except ValueError:
        return []


def test_the_report_names_every_file_and_the_shard_of_every_clip(folder):
    report = run(folder)
    by_name = {line.file: line for line in report.files}
    assert set(by_name) == {"a.mp4", "b.mp4", "broken.mp4"} and by_name["broken.mp4"].skipped == "unreadable"
    out = folder.parent / "latents"
    assert all((out / clip.shard).is_file() for line in report.files for clip in line.clips if clip.kept)
    text = (out / "footage.txt").read_text(encoding="utf-8")
    assert "broken.mp4" in text and "files not used: unreadable 1" in text
    assert (out / "footage.png").is_file()


def test_a_second_run_encodes_only_what_is_new(folder, monkeypatch):
    run(folder, "--held-out", "0")
    encoded = []
    real = encode.encode
    monkeypatch.setattr(encode, "encode", lambda vae, frames: encoded.append(len(frames)) or real(vae, frames))
    write(folder / "c.mp4", shot(9, 17))
    report = run(folder, "--held-out", "0")
    assert encoded == [17] and len(report.files) == 4
    assert len(list((folder.parent / "latents").glob("train-*.safetensors"))) == 4


def test_a_dry_run_reports_and_encodes_nothing(folder):
    report = run(folder, "--dry-run")
    assert sum(line.kept for line in report.files) == 4
    assert list((folder.parent / "latents").glob("*.safetensors")) == []


def test_chunks_give_the_latent_of_the_whole_clip():
    vae, frames = tiny_vae(), shot(1, 21)
    whole = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float().div(127.5).sub(1)
    with torch.inference_mode():
        expected = vae.encode(whole)
    assert (encode.encode(vae, frames).float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_an_output_inside_the_footage_is_refused(folder):
    with pytest.raises(FootageError, match="inside the footage"):
        encode.run(encode.parser().parse_args([str(folder), "--out", str(folder / "latents")]))


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(RunError, match=r"x\.safetensors does not exist"):
        encode.marked_vae(tmp_path / "x.safetensors")


def test_whole_files_are_held_out_always_the_same_and_at_least_one_of_several(tmp_path):
    videos = tuple(Video(tmp_path / f"{i}.mp4", f"{i}.mp4") for i in range(200))
    some = encode.held_out(videos, 0.1)
    assert 8 <= len(some) <= 35 and some == encode.held_out(videos, 0.1)
    assert len(encode.held_out(videos[:2], 0.0001)) == 1 and encode.held_out(videos[:1], 0.5) == set()
