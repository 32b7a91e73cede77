# SPDX-License-Identifier: GPL-3.0-or-later
"""Captions: shots of a stream, what is told of them, the captioner and its file, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from test_expand_server import TEXT, Talker, make_serve, stream  # noqa: F401
from tiny import PIECES, tiny_vae, write_tiny_checkpoint

from comfyui_spacetime.host import caption as command
from comfyui_spacetime.host import cli
from comfyui_spacetime.language import caption_own
from comfyui_spacetime.language.caption import LIST, ONE, Part, plain, rate_of, told, written
from comfyui_spacetime.language.caption_own import Own
from comfyui_spacetime.language.expand import EngineError
from comfyui_spacetime.language.storyboard import parse_storyboard
from comfyui_spacetime.models.captioner import Captioner, CaptionerConfig, frame_times, spoken
from comfyui_spacetime.models.captioner_file import CaptionerError, load_captioner, probe_frames, save_captioner
from comfyui_spacetime.models.text import TextConfig, Tokenizer
from comfyui_spacetime.models.vae import VideoVAE
from comfyui_spacetime.video.pieces import pieces

INPUTS = Path(__file__).resolve().parent.parent / "workflows" / "inputs"
SIZES = {"dim": 20, "depth": 1, "writers": 1, "heads": 2, "length": 12, "widths": (8, 8)}


def tiny_captioner(vae: VideoVAE, **sizes: Any) -> Captioner:
    torch.manual_seed(4)
    config = CaptionerConfig(pieces=PIECES, channels=vae.config.channels, **{**SIZES, **sizes})
    return Captioner(config).initialise().eval()


def encoder(vae: VideoVAE) -> Any:
    return lambda frames: vae.encode(torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1).detach()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small captioner as a file."""
    path = tmp_path_factory.mktemp("captioner") / "small.safetensors"
    vae = tiny_vae()
    save_captioner(path, tiny_captioner(vae), encoder(vae)(probe_frames()), {"vae": "tiny"})
    return path


# a stream in pieces


def scene(seed: int, frames: int) -> np.ndarray:
    """Frames of a picture of its own in which a square moves."""
    rng = np.random.default_rng(seed)
    clip = np.repeat(rng.integers(0, 255, (1, 6, 8, 3), np.uint8).repeat(8, 1).repeat(8, 2), frames, 0)
    for i in range(frames):
        clip[i, 20:28, i : i + 8] = 255
    return clip


def test_a_stream_is_cut_where_the_scene_changes():
    found = list(pieces([*scene(1, 20), *scene(2, 14), *scene(3, 30)], 8, 40))
    assert [(p.start, p.stop, p.cut) for p in found] == [(0, 20, True), (20, 34, True), (34, 64, True)]
    assert (found[1].frames == scene(2, 14)).all()


def test_a_long_shot_comes_in_pieces_of_about_equal_length():
    found = list(pieces(scene(1, 50), 8, 16))
    assert [(p.start, p.stop, p.cut) for p in found] == [
        (0, 16, True),
        (16, 32, False),
        (32, 41, False),
        (41, 50, False),
    ]
    assert [len(p.frames) for p in found] == [16, 16, 9, 9]


def test_a_stream_is_never_held_as_a_whole():
    read = 0

    def frames():
        nonlocal read
        for frame in scene(1, 40).repeat(10, 0):
            read += 1
            yield frame

    for piece in pieces(frames(), 8, 16):
        assert read - piece.start < 50


@pytest.mark.parametrize("count", [0, 1, 3])
def test_short_streams_lose_no_frame(count):
    assert sum(len(piece.frames) for piece in pieces(list(scene(1, count)), 8, 16)) == count


# what is told


class Says:
    """Tells what it is told to."""

    name, pixels, multiple = "says", 64 * 64, 32

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def tell(self, frames: np.ndarray, fps: float, progress: Any) -> str:
        return self.texts.pop(0)


def parts(*spans: tuple[int, int, bool]) -> list[Part]:
    return [Part(start, stop, scene(1, stop - start), cut) for start, stop, cut in spans]


def test_pieces_of_a_shot_that_are_told_alike_are_one():
    shots = told(
        parts((0, 16, True), (16, 32, False), (32, 40, False), (40, 48, True)),
        8,
        Says("a cow", "a cow", "a dog", "a dog"),
    )
    assert written(shots, LIST) == "0-4s: a cow\n4-5s: continue, a dog\n5-6s: cut, a dog"


def test_pieces_are_told_alike_in_whatever_words():
    texts = "a spotted cow spins around on the beach, the camera pans left", "on the beach a cow spins around"
    for first, second in (texts, texts[::-1]):
        shots = list(told(parts((0, 16, True), (16, 32, False)), 8, Says(first, second)))
        assert [shot.prompt for shot in shots] == [texts[0]]
    shots = told(parts((0, 16, True), (16, 32, False)), 8, Says("a cow walks left", "a cow walks right"))
    assert len(list(shots)) == 2


def test_a_single_shot_is_a_caption_unless_a_list_is_asked_for():
    shots = list(told(parts((0, 16, True)), 8, Says("a red panda walks")))
    assert written(shots, "as it comes") == "a red panda walks"
    assert written(shots, LIST) == "0-2s: a red panda walks"


@pytest.mark.parametrize("text", ["[x] a dog", "a dog / 3s: cut, a cat", "two\nlines", "# a note", "a / b"])
def test_whatever_is_told_stays_one_shot_of_a_storyboard(text):
    board = parse_storyboard(written(told(parts((0, 8, True), (8, 16, True)), 8, Says(text, "a cat")), LIST))
    assert len(board.shots) == 2 and board.shots[0].prompt == plain(text)


def test_one_caption_of_a_long_video_is_made_of_fewer_frames():
    assert rate_of(2.0, ONE) == 8 and rate_of(64.0, ONE) == 0.5 and rate_of(64.0, LIST) == 8


# the captioner


@pytest.mark.parametrize("shape", [(1, 4, 4), (5, 16, 16), (3, 5, 7), (40, 20, 30)])
def test_latents_of_any_size_and_length_are_described(shape):
    vae = tiny_vae()
    captioner = tiny_captioner(vae)
    latent = torch.randn(1, vae.config.channels, *shape)
    seen = captioner.look(latent, frame_times(shape[0], 8, 4))
    assert seen.shape[1] <= 12 * 20 and torch.isfinite(seen).all()
    assert isinstance(captioner.write(latent, frame_times(shape[0], 8, 4)), str)


def test_several_captions_of_a_clip_are_scored_as_each_alone():
    vae = tiny_vae()
    captioner = tiny_captioner(vae)
    clip = captioner.look(torch.randn(2, vae.config.channels, 2, 8, 8), frame_times(2, 8, 4).expand(2, -1))
    ids, language = torch.randint(1, 200, (4, 5)), torch.tensor([0, 1, 0, 1])
    together = captioner(clip, ids, language)
    alone = captioner(clip[1:], ids[2:3], language[2:3])
    assert torch.allclose(together[2], alone[0], atol=1e-5)


def test_a_captioner_learns_to_tell_two_clips_apart():
    vae, tokenizer = tiny_vae(), Tokenizer(TextConfig(pieces=PIECES, length=12))
    captioner = tiny_captioner(vae).train()
    latent, seconds = torch.randn(2, vae.config.channels, 2, 8, 8), frame_times(2, 8, 4).expand(2, -1)
    texts = ["a red panda walks left", "snow to right"]
    ids = tokenizer.batch(texts)[:, :8]
    optimiser = torch.optim.Adam(captioner.parameters(), lr=1e-2)
    for _ in range(80):
        logits = captioner(captioner.look(latent, seconds), ids[:, :-1], torch.tensor([0, 0]))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    captioner.eval()
    assert [captioner.write(latent[i : i + 1], seconds[:1]) for i in range(2)] == texts


@pytest.mark.parametrize("text", ["a red panda walks to snow", "雪猫, a cup", "a well-worn cup's snow.", "日本é"])
def test_what_the_tokenizer_reads_is_said_again(text):
    assert spoken(Tokenizer(TextConfig(pieces=(*PIECES, *"-'.,welrns"))).encode(text), (*PIECES, *"-'.,welrns")) == text


def test_a_captioner_takes_a_byte_a_weight_and_says_what_it_said(trained):
    loaded, vae = load_captioner(trained), tiny_vae()
    for name, value in tiny_captioner(vae).state_dict().items():
        assert torch.allclose(loaded.captioner.state_dict()[name], value, atol=0.02)
    assert loaded.info == {"vae": "tiny"}


def test_files_that_are_no_captioner_are_refused(trained, tmp_path):
    with pytest.raises(CaptionerError, match="does not exist: train a captioner"):
        load_captioner(tmp_path / "none.safetensors")
    (tmp_path / "half.safetensors").write_bytes(trained.read_bytes()[:3000])
    with pytest.raises(CaptionerError, match="not a whole safetensors file"):
        load_captioner(tmp_path / "half.safetensors")
    with pytest.raises(CaptionerError, match="is no captioner"):
        load_captioner(write_tiny_checkpoint(tmp_path / "model.safetensors"))


def test_only_the_vae_that_it_was_trained_on_is_read(trained):
    vae = tiny_vae()
    Own(load_captioner(trained), encoder(vae.bfloat16().float()))
    with torch.no_grad():
        vae.encoder.project.weight.copy_(vae.encoder.project.weight.flip(0))
    with pytest.raises(EngineError, match="trained on tiny, and this VAE makes other latents"):
        Own(load_captioner(trained), encoder(vae))
    with pytest.raises(EngineError, match="channels; this VAE makes latents of shape"):
        Own(load_captioner(trained), lambda frames: torch.zeros(1, 3, 2, 8, 8))


def test_its_own_style_and_languages_alone_are_written(trained):
    with pytest.raises(EngineError, match="The engine own writes the style spacetime, not wan"):
        Own(load_captioner(trained), encoder(tiny_vae()), style="wan")


# the command


@pytest.fixture
def folder(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips and a damaged one; the captioner's VAE is the small one."""
    vae = tiny_vae()
    monkeypatch.setattr(caption_own, "encoder_of", lambda checkpoint: encoder(vae))
    place = tmp_path / "clips"
    (place / "more").mkdir(parents=True)
    (place / "a.mp4").write_bytes((INPUTS / "turtle_beach.mp4").read_bytes())
    (place / "more" / "b.mp4").write_bytes((INPUTS / "panda_snow.mp4").read_bytes())
    (place / "c.mp4").write_bytes(b"no video")
    return place


def run(path: Path, trained: Path, *arguments: str) -> Any:
    return CliRunner().invoke(cli.cli, ["caption", str(path), "--model", str(trained), *arguments])


def test_the_caption_alone_goes_to_stdout(folder, trained):
    done = run(folder / "a.mp4", trained, "--tell", "one caption")
    assert done.exit_code == 0 and done.stdout.count("\n") == 1, done.stderr


def test_a_folder_gets_captions_beside_its_videos_and_goes_on_where_it_stopped(folder, trained):
    done = run(folder, trained, "--tell", "one caption")
    assert done.exit_code == 1 and "c.mp4: passed over" in done.stderr and "2 captioned, 0 had" in done.stderr
    assert done.stdout.split() == [str(folder / "a.txt"), str(folder / "more" / "b.txt")]
    (folder / "a.txt").write_text("my own words\n")
    assert "0 captioned, 2 had a caption, 1 passed over" in run(folder, trained).stderr
    assert (folder / "a.txt").read_text() == "my own words\n"
    run(folder, trained, "--force", "--tell", "one caption")
    assert (folder / "a.txt").read_text() != "my own words\n" and not list(folder.rglob("*.tmp"))


def test_several_shots_are_written_with_their_times(tmp_path):
    video = tmp_path / "clip.mp4"
    shots = parse_storyboard("0-2s: a\n2-3.5s: cut, b").shots
    path = command.Beside(video).write(list(shots))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert path.suffix == ".jsonl" and lines[1] == {"file": "clip.mp4", "caption": "b", "start": 2, "stop": 3.5}
    assert command.Beside(video).write(list(shots[:1])).suffix == ".txt" and not path.exists()


def test_a_server_is_shown_frames_and_asked_to_describe_them(serve, monkeypatch):
    server = serve(stream())
    monkeypatch.setenv("SPACETIME_LLM_URL", server.url)
    monkeypatch.setenv("SPACETIME_LLM_MODEL", "small")
    clip = str(INPUTS / "turtle_beach.mp4")
    done = CliRunner().invoke(
        cli.cli, ["caption", clip, "--engine", "server", "--style", "wan", "--tell", "one caption"]
    )
    assert (done.exit_code, done.stdout) == (0, TEXT + "\n"), done.stderr
    system, question = server.asked[0][2]["messages"]
    assert system["content"].startswith("You describe videos") and "130" not in system["content"]
    assert [part["type"] for part in question["content"]] == ["text", *["image_url"] * 4]


def test_faults_are_one_sentence(tmp_path, trained):
    assert run(tmp_path / "none.mp4", trained).stderr.endswith("none.mp4 does not exist.\n")
    done = run(INPUTS / "turtle_beach.mp4", trained, "--style", "wan")
    assert done.exit_code == 1 and done.stderr.startswith("spacetime: The engine own writes the style spacetime")
