# SPDX-License-Identifier: GPL-3.0-or-later
"""Save Video and Verify Video in a graph: every kind of VIDEO, whole files, workflow inside, signed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from test_video_sources import film, grey, numbers, tones

from comfyui_spacetime.video.errors import VideoError
from comfyui_spacetime.video.reader import probe, read_frames

pytestmark = pytest.mark.host


@pytest.fixture
def folder(inprocess: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's output folder, for this test alone; input and user folder lie beside it."""
    import folder_paths

    for kind in ("input", "output", "temp", "user"):
        (tmp_path / kind).mkdir()
        monkeypatch.setattr(folder_paths, f"get_{kind}_directory", lambda kind=kind: str(tmp_path / kind))
    return tmp_path / "output"


@pytest.fixture
def save(folder: Path) -> Any:
    """Run Save Video and return (the text, the written VIDEO, what is shown)."""
    from comfyui_spacetime.nodes.save_video import SaveVideo

    def run(video: Any, name: str = "h264 mp4", **options: Any) -> Any:
        output = SaveVideo.execute(video, options.pop("prefix", "a"), name, **options)
        return output.ui["text"][0], output.result[0], output.ui

    return run


def lazy(count: int = 10, error: BaseException | None = None, size: tuple[int, int] = (48, 64), rate: int = 8) -> Any:
    """A lazy VIDEO that notes how many frames were made but not yet taken."""
    from comfyui_spacetime.nodes.lazy_video import LazyVideo

    def frames() -> Any:
        yield from grey(count if error is None else count - 3, 20, size)
        if error is not None:
            raise error

    return LazyVideo(frames, size[1], size[0], count, rate, keep_copy=False)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["h264 mp4", "h265 mp4", "av1 webm", "vp9 webm", "prores mov", "gif", "webp", "apng"])
def test_a_lazy_video_is_saved_and_comes_back(save, folder, name):
    text, saved, _ = save(lazy(), name, quality="best")
    (file,) = names(folder)
    assert file.startswith("a_00001_.") and file in text
    assert saved.get_frame_count() == 10 and saved.get_frame_rate() == 8 and saved.get_dimensions() == (64, 48)
    assert numbers(saved.frames(), 20) == list(range(10))


def test_a_sequence_is_a_folder_with_all_files_told(save, folder, tmp_path):
    tones(tmp_path / "input" / "in.mkv", "stereo")
    from comfyui_spacetime.nodes.load_video import LoadVideo

    text, saved, shown = save(LoadVideo.execute("in.mkv").result[0], "png")
    assert len(names(folder)) == 17 and "a_00001_/sound.wav" in names(folder) and "a_00001_: png" in text
    assert [f["filename"] for f in shown["images"]] == ["000001.png"] and len(shown["spacetime_files"]) == 17
    assert saved.get_frame_count() == 16 and saved.sound().layout == "stereo"
    assert numbers(saved.frames()) == list(range(16))


def test_stock_videos_are_saved_too(save, folder, tmp_path):
    from comfy_api.latest import InputImpl, Types

    images = torch.from_numpy(np.stack(grey(6, 20))).float() / 255
    wave = {"waveform": torch.full((1, 2, 24000), 0.25), "sample_rate": 48000}
    parts = Types.VideoComponents(images=images, audio=wave, frame_rate=Fraction(12))
    _, saved, _ = save(InputImpl.VideoFromComponents(parts), "h265 mp4", quality="best")
    assert numbers(saved.frames(), 20) == list(range(6)) and saved.get_frame_rate() == 12
    assert saved.get_audio()["waveform"].shape[1] == 2
    path = tones(tmp_path / "in.mkv", "5.1")
    _, saved, _ = save(InputImpl.VideoFromFile(str(path)), "vp9 mkv")
    assert saved.sound().layout == "5.1"  # sound goes through with all its channels


def test_one_frame_after_the_other(save, folder):
    """No frame is asked for before the one before it has been taken by the encoder."""
    from comfyui_spacetime.nodes.lazy_video import LazyVideo

    alive: list[int] = []

    class Frame(np.ndarray):
        def __del__(self) -> None:
            alive.append(-1)

    def frames() -> Any:
        for frame in grey(60, 4):
            alive.append(1)
            yield frame.view(Frame)
            assert sum(alive) <= 4

    save(LazyVideo(frames, 64, 48, 60, 8, keep_copy=False))


def test_progress_counts_the_frames(save, folder, monkeypatch):
    import comfy.utils

    seen = []
    monkeypatch.setattr(comfy.utils.ProgressBar, "update_absolute", lambda bar, done, total: seen.append((done, total)))
    save(lazy())
    assert seen == [(n, 10) for n in range(11)]


# -- workflow and prompt -------------------------------------------------------------------------------------------

PROMPT = {
    "1": {"class_type": "SpacetimeLoadModel", "inputs": {"checkpoint": "sub/nano.safetensors"}},
    "2": {"class_type": "SpacetimeLoadVideo", "inputs": {"file": "in.mp4", "start": 0.0}},
    "3": {"class_type": "SpacetimeEncodeVideo", "inputs": {"video": ["2", 0], "vae": ["1", 2]}},
    "4": {"class_type": "SpacetimeSaveVideo", "inputs": {"video": ["3", 0], "filename_prefix": "a"}},
    "5": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "unrelated.safetensors"}},
    "6": {"class_type": "SpacetimeSaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "a"}},
}


@pytest.fixture
def hidden(monkeypatch, folder):
    """Give Save Video a prompt, a workflow and its own id, as the executor does."""
    from types import SimpleNamespace

    from comfyui_spacetime.nodes.save_video import SaveVideo

    film(folder.parent / "input" / "in.mp4", grey(4))

    def give(node: str = "4") -> None:
        given = SimpleNamespace(prompt=PROMPT, extra_pnginfo={"workflow": {"nodes": [1]}}, unique_id=node)
        monkeypatch.setattr(SaveVideo, "hidden", given)

    return give


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


def test_workflow_and_prompt_travel_as_the_host_writes_them(save, folder, hidden):
    hidden()
    save(lazy())
    found = tags_of(folder / "a_00001_.mp4")
    assert json.loads(found["workflow"]) == {"nodes": [1]} and json.loads(found["prompt"]) == PROMPT


def test_the_hosts_switch_leaves_them_out_of_file_and_credentials(save, folder, hidden, monkeypatch):
    from comfy.cli_args import args

    from comfyui_spacetime.video.credentials import available, verify

    hidden()
    monkeypatch.setattr(args, "disable_metadata", True)
    save(lazy())
    assert not {"workflow", "prompt"} & set(tags_of(folder / "a_00001_.mp4"))
    assert b"nano.safetensors" not in (folder / "a_00001_.mp4").read_bytes()
    if available():
        report = verify(folder / "a_00001_.mp4")
        assert report.source == "AI-generated" and report.models == report.inputs == ()


def test_a_gif_says_what_it_leaves_out(save, folder, hidden, tmp_path):
    from comfyui_spacetime.nodes.load_video import LoadVideo

    hidden()
    tones(tmp_path / "input" / "a.mkv", "mono")
    text, _, _ = save(LoadVideo.execute("a.mkv").result[0], "gif")
    assert "without the sound: gif is silent" in text and "without the workflow" in text


def test_a_fast_gif_is_halved_since_players_would_slow_it_down(save, folder):
    text, saved, _ = save(lazy(12, rate=60), "gif")
    assert saved.get_frame_count() == 6 and float(saved.get_frame_rate()) == pytest.approx(30, rel=0.15)
    assert "players slow down gif above 50 fps" in text


def test_odd_sides_are_told(save, folder):
    assert "filled up to even sides" in save(lazy(4, size=(47, 63)))[0]
    assert "filled up" not in save(lazy(4, size=(47, 63)), "apng")[0]


# -- credentials ---------------------------------------------------------------------------------------------------


def test_a_saved_file_names_its_model_and_its_input(save, folder, hidden):
    pytest.importorskip("c2pa")
    from comfyui_spacetime.nodes.verify_video import VerifyVideo

    hidden()
    text, saved, _ = save(lazy())
    assert "Content Credentials: signed" in text
    report, signed, unaltered = VerifyVideo.execute(video=saved).result
    assert signed and unaltered and "AI-generated" in report and "this ComfyUI's own certificate" in report
    assert "Model: nano.safetensors" in report and "Made from: in.mp4" in report and "unrelated" not in report
    key = folder.parent / "user" / "__spacetime" / "credentials" / "private_key.pem"
    assert key.is_file() and key.stat().st_mode & 0o777 == 0o600


def test_what_no_model_has_touched_is_not_called_generated(save, folder, hidden):
    pytest.importorskip("c2pa")
    from comfyui_spacetime.nodes.verify_video import VerifyVideo

    hidden("6")
    _, saved, _ = save(lazy())
    report = VerifyVideo.execute(video=saved).result[0]
    assert "An edited or converted file" in report and "AI-generated" not in report


def test_every_picture_of_a_sequence_is_signed(save, folder):
    pytest.importorskip("c2pa")
    from comfyui_spacetime.nodes.verify_video import VerifyVideo

    save(lazy(4), "png")
    for number in (1, 4):
        assert VerifyVideo.execute(file=f"a_00001_/00000{number}.png [output]").result[1:] == (True, True)


def test_an_altered_file_is_found_out(save, folder):
    pytest.importorskip("c2pa")
    from comfyui_spacetime.nodes.verify_video import VerifyVideo

    _, saved, _ = save(lazy())
    data = bytearray(saved.path.read_bytes())
    data[data.index(b"mdat") + 40] ^= 1
    saved.path.write_bytes(data)
    report, signed, unaltered = VerifyVideo.execute(file="a_00001_.mp4 [output]").result
    assert signed and not unaltered and "ALTERED" in report


def test_credentials_can_be_switched_off(save, folder):
    text, saved, _ = save(lazy(), credentials=False)
    assert "switched off" in text and b"c2pa" not in saved.path.read_bytes()
    assert not (folder.parent / "user" / "__spacetime").exists()  # no certificate is made for nothing


@pytest.mark.parametrize("name", ["vp9 webm", "h264 mkv"])
def test_a_format_that_cannot_carry_them_says_so(save, folder, name):
    assert f"no Content Credentials: {name.split()[1]} cannot carry them" in save(lazy(), name)[0]


def test_without_the_package_the_file_is_saved_and_told_what_to_install(save, folder, monkeypatch):
    from comfyui_spacetime.video import credentials

    monkeypatch.setattr(credentials, "available", lambda: False)
    text, _, _ = save(lazy())
    assert 'pip install "c2pa-python' in text and names(folder) == ["a_00001_.mp4"]


def test_a_wrong_certificate_is_told_before_any_frame_is_made(save, folder):
    pytest.importorskip("c2pa")
    own = folder.parent / "user" / "__spacetime" / "credentials"
    own.mkdir(parents=True)
    (own / "certificate.pem").write_text("hello")
    (own / "private_key.pem").write_text("hello")
    with pytest.raises(VideoError, match="cannot be read"):
        save(lazy(error=RuntimeError("a frame was made")))
    assert names(folder) == []


def test_verify_says_what_to_connect(folder):
    from comfyui_spacetime.nodes.errors import InputError
    from comfyui_spacetime.nodes.verify_video import VerifyVideo

    with pytest.raises(InputError, match="nothing to verify"):
        VerifyVideo.execute()
    with pytest.raises(InputError, match="is not a file yet"):
        VerifyVideo.execute(video=lazy())
    assert "leads out of" in VerifyVideo.validate_inputs(file="../../secret.mp4")


# -- whole or not at all -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["h264 mp4", "gif", "png"])
def test_a_cancel_leaves_nothing(save, folder, name):
    import comfy.model_management as mm

    with pytest.raises(mm.InterruptProcessingException):
        save(lazy(error=mm.InterruptProcessingException()), name)
    assert list(folder.iterdir()) == []


def test_what_does_not_read_back_is_not_kept(save, folder, monkeypatch):
    from comfyui_spacetime.video.writer import VideoWriter

    original = VideoWriter._pictures

    def loses_one(writer: Any, frame: Any) -> Any:
        return iter(()) if writer.count in (3, 4, 5) else original(writer, frame)

    monkeypatch.setattr(VideoWriter, "_pictures", loses_one)
    with pytest.raises(VideoError, match="does not read back"):
        save(lazy())
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("prefix", ["../a", "/tmp/a", "x/../../a", "", "  "])
def test_no_prefix_leads_out_of_the_output_folder(save, folder, prefix):
    from comfyui_spacetime.nodes.errors import InputError

    with pytest.raises(InputError, match="leads out of"):
        save(lazy(), prefix=prefix)


def test_an_unknown_format_is_refused_before_anything_runs(folder):
    from comfyui_spacetime.nodes.save_video import SaveVideo

    assert 'no format "divx"' in SaveVideo.validate_inputs(format="divx")
    assert SaveVideo.validate_inputs(format="gif") is True
    assert SaveVideo.validate_inputs(format=None) is True  # over a link it is known when the node runs


def test_what_this_computer_cannot_write_is_not_offered(inprocess, monkeypatch):
    from comfyui_spacetime.nodes.save_video import SaveVideo

    monkeypatch.setattr(av, "codecs_available", {c for c in av.codecs_available if "265" not in c and "hevc" not in c})
    options = next(i for i in SaveVideo.define_schema().inputs if i.id == "format").options
    assert "h264 mp4" in options and not [option for option in options if option.startswith("h265")]
    assert "cannot be written here" in SaveVideo.validate_inputs(format="h265 mp4")


# -- in a graph ----------------------------------------------------------------------------------------------------


def test_load_save_and_verify_run_in_the_hosts_executor(inprocess, host_base):
    from comfyui_spacetime.host.workflow import Prompt
    from comfyui_spacetime.video.credentials import available

    film(host_base / "input" / "graph.mp4", grey(8, 20))
    graph = {
        "l": {"class_type": "SpacetimeLoadVideo", "inputs": {
            "file": "graph.mp4", "start": 0.25, "duration": 0.5, "fps": 0.0, "width": 0, "height": 0, "fit": "crop",
            "background": "black", "if_damaged": "stop"}},
        "s": {"class_type": "SpacetimeSaveVideo", "inputs": {
            "video": ["l", 0], "filename_prefix": "graph/a", "format": "h264 mp4", "quality": "best", "crf": -1.0,
            "hardware": True, "credentials": True}},
        "v": {"class_type": "SpacetimeVerifyVideo", "inputs": {"file": "", "video": ["s", 0]}},
    }  # fmt: skip
    if not available():
        del graph["v"]
    result = inprocess.run(Prompt(graph, workflow={"nodes": []}))
    assert [file.filename for file in result.files] == ["a_00001_.mp4"]
    path = host_base / "output" / "graph" / "a_00001_.mp4"
    assert numbers(read_frames(path), 20) == [2, 3, 4, 5] and probe(path).fps == 8
    assert json.loads(tags_of(path)["prompt"])["s"]["class_type"] == "SpacetimeSaveVideo"
    assert not available() or "Made from: graph.mp4" in result.shown["v"]["text"][0]
