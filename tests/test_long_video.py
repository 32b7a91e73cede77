# SPDX-License-Identifier: GPL-3.0-or-later
"""Long Video: chunks with exact history, prompts over time, any start; interrupted, it goes on with the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from clip_kit import film, frames_of, image, pixels
from node_kit import Kit, as_the_executor_does, make_kit, recorded  # noqa: F401

from comfyui_spacetime.video.writer import write_video

pytestmark = pytest.mark.host
SETTINGS = {"seed": 3, "steps": 2, "guidance": 2.0, "sampler": "euler", "schedule": "spacetime"}
SETTINGS |= {"noise": 0.05, "colour": 0.5, "history": 0.5}


@pytest.fixture(autouse=True)
def own_user_folder(inprocess: Any, tmp_path: Path, monkeypatch: Any) -> Path:
    """Every test has a user folder of its own."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path / "user"))
    return tmp_path / "user"


def empty(kit: Any, latents: int, side: int = 2) -> dict[str, Any]:
    return {"samples": torch.zeros(1, kit.vae.latent_channels, latents, side, side), "frame_rate": 8.0}


def job(kit: Any, latent: dict[str, Any], chunk: float = 2.0, context: float = 0.5, **changes: Any) -> Any:
    from comfyui_spacetime.nodes.long_video import Job
    from comfyui_spacetime.nodes.rollout import Settings

    given = {"model": kit.model, "positive": kit.positive, "negative": kit.negative}
    given |= {name: changes.pop(name) for name in list(changes) if name in given}
    settings = Settings(**{**SETTINGS, **changes})
    return Job(**given, latent=latent, vae=kit.vae, settings=settings, chunk=chunk, context=context)


def made(kit: Any, latent: dict[str, Any], key: str = "a", **changes: Any) -> np.ndarray:
    """All frames of the video."""
    from comfyui_spacetime.nodes.work_folder import work_folder

    return frames_of(job(kit, latent, **changes).run(work_folder(key), 1.0, "Long Video")[0])


def stored(folder: Path) -> list[str]:
    """The finished chunks' files."""
    return sorted(path.name for path in folder.glob("__spacetime/long_video/*/latent-*"))


def test_the_first_chunk_is_what_the_sampler_makes_and_the_whole_has_the_length(kit):
    from comfyui_spacetime.nodes import sampler, vae_stream

    frames = made(kit, empty(kit, 15))
    assert frames.shape == (57, 32, 32, 3)
    alone = sampler.sample(kit.model, kit.positive, kit.negative, empty(kit, 5), 3, 2, 2.0)["samples"]
    assert (frames[:17] == np.stack(list(vae_stream.decode_frames(kit.vae, alone)))).all()


def test_a_chunk_sees_the_exact_end_of_the_one_before(kit, own_user_folder):
    from safetensors.torch import load_file

    model, calls = recorded(kit.model)
    made(kit, empty(kit, 9), model=model, noise=0.0, colour=0.0)
    folder = own_user_folder / "__spacetime" / "long_video" / "a"
    first, second = (load_file(folder / name)["samples"] for name in stored(own_user_folder)[:2])
    last = calls[3]
    assert first.shape[2] == 5 and not last.timestep[:, :, :2].any() and last.timestep[:, :, 2:].all()
    torch.testing.assert_close(last.x[:1, :, 1:2].float(), first[:, :, -1:], atol=1e-5, rtol=0)
    assert second.shape[2] == 2


def test_the_latent_s_own_sound_is_kept(kit):
    from comfyui_spacetime.nodes.work_folder import work_folder

    sound = {"waveform": torch.full((1, 1, 9000), 0.25), "sample_rate": 8000}
    video, _ = job(kit, {**empty(kit, 3), "audio": sound}).run(work_folder("a"), 1.0, "Long Video")
    assert torch.equal(video.get_audio()["waveform"], sound["waveform"])


def test_history_is_a_little_noisy_and_yet_called_known(kit):
    model, calls = recorded(kit.model)
    made(kit, empty(kit, 9), model=model, noise=0.0, colour=0.0)
    noisy_model, noisy = recorded(kit.model)
    made(kit, empty(kit, 9), key="b", model=noisy_model, noise=0.1, colour=0.0)
    change = (noisy[3].x - calls[3].x)[:, :, :2]
    assert 0.02 < change.std() < 0.5 and not noisy[3].timestep[:, :, :2].any()


def test_chunks_that_go_on_from_finished_frames_are_guided_less(kit, monkeypatch):
    from comfyui_spacetime.nodes import rollout

    guided, sample = [], rollout.sample
    monkeypatch.setattr(rollout, "sample", lambda *given: guided.append(given[6]) or sample(*given))
    made(kit, empty(kit, 9), guidance=4.0)
    assert guided == [4.0, 2.5, 2.5]
    made(kit, empty(kit, 9), key="b", guidance=4.0, history=1.0)
    assert guided[3:] == [4.0, 4.0, 4.0]


def test_chunks_that_are_made_backwards_from_finished_frames_are_guided_less_too(kit, tmp_path, monkeypatch):
    from comfyui_spacetime.nodes import rollout
    from comfyui_spacetime.nodes.extend import extend

    guided, sample = [], rollout.sample
    monkeypatch.setattr(rollout, "sample", lambda *given: guided.append(given[6]) or sample(*given))
    movie = film(tmp_path / "movie.mp4", frames=20, size=(32, 32))
    ((latent,), _) = extend(movie, kit.vae, "backward", 5.0, 0.5)
    made(kit, latent, guidance=4.0)
    assert guided[0] == 4.0 and len(guided) > 2 and set(guided[1:]) == {2.5}  # the first sees the video itself


def test_prompts_come_at_their_times_and_a_cut_starts_anew(kit):
    from comfyui_spacetime.nodes.prompts import PromptSchedule

    recorder, calls = recorded(kit.model)
    text = "2 s: a cup\nglide 1 s: a red cup\ncut 1 s: a panda"
    model, positive = PromptSchedule.execute(recorder, kit.clip, kit.vae, text).result
    frames = made(kit, empty(kit, 9), model=model, positive=positive)
    assert len(frames) == 33 and len(positive) == 3
    opening = calls[-1]
    assert opening.timestep.expand(1, 1, 3, 1, 1).all() if opening.timestep.ndim == 1 else opening.timestep.all()


def test_a_prompt_alone_costs_no_more_calls_than_without_a_schedule(kit):
    from comfyui_spacetime.nodes.prompts import PromptSchedule

    recorder, calls = recorded(kit.model)
    model, positive = PromptSchedule.execute(recorder, kit.clip, kit.vae, "4 s: a cup\ncut 4 s: a panda").result
    made(kit, empty(kit, 5), model=model, positive=positive)
    plain, expected = recorded(kit.model)
    made(kit, empty(kit, 5), key="b", model=plain)
    assert len(calls) == len(expected)


def test_a_glide_goes_over_the_whole_video_not_over_each_chunk(kit):
    from comfyui_spacetime.nodes.glide import glide

    seen = []

    def share(length: int) -> torch.Tensor:
        seen.append(length)
        return torch.linspace(0, 1, length)

    model, positive = glide(kit.model, kit.positive, kit.negative, share)
    made(kit, empty(kit, 9), model=model, positive=positive)
    assert set(seen) == {9}


def test_a_picture_begins_to_move_for_as_long_as_you_like(kit):
    from comfyui_spacetime.nodes.animate import add_keyframe, animate

    latent, _ = animate(image(0.2, 32, 32), kit.vae, 6.0, 8.0, 32)
    for level, time in ((0.2, 0.0), (0.8, -1.0)):
        latent = add_keyframe(latent, image(level, 32, 32), kit.vae, time, 1.0)
    frames = made(kit, latent)
    assert len(frames) == 49 and (frames[0] == 51).all() and (frames[-1] == 204).all()


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_video_goes_on_and_its_own_frames_pass_through(kit, tmp_path, direction):
    from comfyui_spacetime.nodes.extend import extend

    movie = film(tmp_path / "movie.mp4", frames=20, size=(32, 32))
    ((latent,), _) = extend(movie, kit.vae, direction, 5.0, 1.0)
    frames = made(kit, latent)
    begin = 0 if direction == "forward" else len(frames) - 20
    assert len(frames) == (60 if begin == 0 else 61)
    assert (frames[begin : begin + 20] == pixels(tmp_path / "movie.mp4")).all()


def stop_after(monkeypatch: Any, calls: int, error: Callable[[], BaseException]) -> None:
    """Let the sampler fail when it is asked for another chunk after some."""
    from comfyui_spacetime.nodes import rollout

    original, done = rollout.sample, []

    def sample(*given: Any, **named: Any) -> Any:
        if len(done) == calls:
            raise error()
        done.append(1)
        return original(*given, **named)

    monkeypatch.setattr(rollout, "sample", sample)


def test_interrupted_between_chunks_it_goes_on_with_the_same_bytes(kit, own_user_folder, tmp_path, monkeypatch):
    import comfy.model_management as mm

    from comfyui_spacetime.nodes.work_folder import work_folder

    whole, _ = job(kit, empty(kit, 17)).run(work_folder("whole"), 1.0, "Long Video")
    save(whole, tmp_path / "whole.apng")
    expected = stored(own_user_folder)
    with monkeypatch.context() as patch:
        stop_after(patch, 3, mm.InterruptProcessingException)
        with pytest.raises(mm.InterruptProcessingException):
            made(kit, empty(kit, 17), key="whole2")
    folder = own_user_folder / "__spacetime" / "long_video" / "whole2"
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("latent-*")}
    assert len(kept) == 3
    with monkeypatch.context() as patch:
        stop_after(patch, len(expected) - 3, RuntimeError)
        video, text = job(kit, empty(kit, 17)).run(work_folder("whole2"), 1.0, "Long Video")
    assert "3 of them finished before" in text
    assert all((folder / name).stat().st_mtime_ns == changed for name, changed in kept.items())
    save(video, tmp_path / "again.apng")
    assert (tmp_path / "whole.apng").read_bytes() == (tmp_path / "again.apng").read_bytes()


def save(video: Any, path: Path) -> None:
    """Write a file whose bytes follow from the frames alone (x264's threads now and then choose otherwise)."""
    write_video(path, video.frames(), fps=video.get_frame_rate(), container="apng", codec="apng")


def interrupted(kit: Any, monkeypatch: Any, key: str, latents: int = 17, calls: int = 3) -> None:
    """Make some chunks of a video."""
    with monkeypatch.context() as patch:
        stop_after(patch, calls, KeyError)
        with pytest.raises(KeyError):
            made(kit, empty(kit, latents), key=key)


def test_finished_chunks_are_decoded_and_written_while_the_next_is_sampled(kit, own_user_folder, monkeypatch):
    """When the fourth chunk is asked for, the first two lie there as frames (the third may still be on its way)."""
    interrupted(kit, monkeypatch, "a")
    assert len(list(own_user_folder.glob("__spacetime/long_video/a/frames-*.mkv"))) >= 2


@pytest.mark.parametrize("damaged", ["latent-00001", "frames-00001"])
def test_what_was_damaged_meanwhile_is_made_again(kit, own_user_folder, monkeypatch, damaged):
    expected = made(kit, empty(kit, 17), key="b")
    interrupted(kit, monkeypatch, "a")
    folder = own_user_folder / "__spacetime" / "long_video" / "a"
    path = next(folder.glob(f"{damaged}*"))
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    (folder / "latent-00007-abc.safetensors").write_bytes(b"foreign")
    (folder / ".segment-00003-1.part").write_bytes(b"half")
    assert (made(kit, empty(kit, 17)) == expected).all()
    assert not {"latent-00007-abc.safetensors", ".segment-00003-1.part"} & {entry.name for entry in folder.iterdir()}


def test_a_finished_video_is_not_made_again(kit, monkeypatch):
    expected = made(kit, empty(kit, 9))
    stop_after(monkeypatch, 0, KeyError)
    assert (made(kit, empty(kit, 9)) == expected).all()


def test_on_a_full_disk_what_is_finished_stays(kit, own_user_folder, monkeypatch):
    from comfyui_spacetime.models import chunk_files

    original = chunk_files.write_whole

    def write(path: Path, content: bytes) -> None:
        if path.name.startswith("latent-00002"):
            raise OSError(28, "No space left on device")
        original(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(chunk_files, "write_whole", write)
        with pytest.raises(ValueError, match=r"No space left on device.* 2 of 5 chunks are finished and kept"):
            made(kit, empty(kit, 17))
    assert len(stored(own_user_folder)) == 2
    assert len(made(kit, empty(kit, 17))) == 65


def test_a_disk_that_is_full_from_the_first_is_told_before_sampling(kit, monkeypatch):
    import shutil
    from types import SimpleNamespace

    stop_after(monkeypatch, 0, KeyError)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    with pytest.raises(ValueError, match=r"is full \(0.00 GB free"):
        made(kit, empty(kit, 17))


def test_progress_goes_over_the_whole_with_pictures_of_finished_chunks(kit, monkeypatch):
    import comfy.utils

    shown = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: shown.append((value, total, preview))
    )
    made(kit, empty(kit, 11))
    own = [entry for entry in shown if entry[1] == 3 * 2]  # chunks, steps
    values = [value for value, _, _ in own]
    assert values == sorted(values) and values[0] == 0 and values[-1] == 6
    assert any(preview is not None and preview[1].size == (32, 32) for _, _, preview in own)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"context": 3.0}, r"A chunk of 2 s has 17 frames, and a context of 3 s leaves nothing of it to make"),
        ({"sampler": "nothing"}, "no sampler 'nothing'"),
        ({"positive": []}, "The positive prompt is empty"),
        ({"batch": 2}, "The latent is a batch of 2 clips"),
        ({"channels": 3}, "The latent has 3 channels"),
    ],
)
def test_what_does_not_go_together_is_said_before_sampling(kit, monkeypatch, change, sentence):
    latent = empty(kit, 9)
    if "batch" in change:
        latent["samples"] = latent["samples"].repeat(change.pop("batch"), 1, 1, 1, 1)
    if "channels" in change:
        latent["samples"] = latent["samples"][:, : change.pop("channels")]
    with pytest.raises(ValueError, match=sentence):
        job(kit, latent, **change)


def test_memory_holds_a_few_chunks_whatever_the_length(kit):
    """The clip's latents aside, a video of 40 chunks keeps no more of them than one of 10."""
    from comfyui_spacetime.nodes.long_render import Render
    from comfyui_spacetime.nodes.work_folder import work_folder

    held = []
    for latents in (20, 80):
        one = job(kit, empty(kit, latents), steps=1)
        render: Any = None
        original = Render.__init__

        def note(self: Any, *given: Any, before: Any = original) -> None:
            nonlocal render
            before(self, *given)
            render = self

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Render, "__init__", note)
            one.run(work_folder(f"m{latents}"), 1.0, "Long Video")
        held.append(len(render.files._held))
    assert held[0] == held[1]


@pytest.mark.parametrize("name", ["wan21", "wan22", "ltxv", "hunyuan"])
def test_any_family_makes_long_videos_and_goes_on_with_one(inprocess, tmp_path, name):
    import model_doubles

    from comfyui_spacetime.nodes.extend import extend

    family = model_doubles.double(name)
    ratio = int(family.vae.temporal_compression_decode())
    latents = 1 + 48 // ratio
    blank = {**empty(family, latents, 64 // family.vae.spacial_compression_decode()), "frame_rate": 8.0}
    chunk = (1 + 4 * ratio) / 8
    frames = made(family, blank, chunk=chunk, context=ratio / 8)
    assert frames.shape == (49, 64, 64, 3)
    movie = film(tmp_path / "one.mp4", frames=1 + 2 * ratio, size=(64, 64))
    ((latent,), _) = extend(movie, family.vae, "forward", 6.0, ratio / 4)
    frames = made(family, latent, key="b", chunk=chunk, context=ratio / 8)
    assert len(frames) == 1 + 2 * ratio + 48 and (frames[: 1 + 2 * ratio] == pixels(tmp_path / "one.mp4")).all()


def test_a_render_is_kept_where_the_hosts_user_folder_is_now(inprocess, own_user_folder, tmp_path, monkeypatch):
    import folder_paths

    from comfyui_spacetime.nodes.work_folder import work_folder

    held = work_folder("a")
    assert work_folder("a") is held and held.path.is_relative_to(own_user_folder)
    monkeypatch.setattr(folder_paths, "user_directory", str(tmp_path / "moved"))
    assert work_folder("a").path.is_relative_to(tmp_path / "moved")
