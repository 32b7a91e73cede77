# SPDX-License-Identifier: GPL-3.0-or-later
"""Caption Video as a node: each engine, videos and frames, and its workflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from node_kit import NAME, as_the_executor_does, make_kit  # noqa: F401
from test_caption import encoder, tiny_captioner
from test_expand_server import TEXT, Talker, make_serve, stream  # noqa: F401
from tiny import tiny_vae

from comfyui_spacetime.host.overrides import apply_setting
from comfyui_spacetime.host.workflow import load_workflow, to_api
from comfyui_spacetime.language.storyboard import parse_storyboard
from comfyui_spacetime.models.captioner_file import probe_frames, save_captioner

pytestmark = pytest.mark.host
WORKFLOWS = Path(__file__).resolve().parent.parent / "workflows"
WORDS = ["<unk>", "<s>", "</s>", "<image>", "a", "red", "car", "drives", "left", "to", "the", "beach", ".", "USER"]
OWN = "small.safetensors"


@pytest.fixture(scope="module")
def own(kit: Any, host_base: Path) -> str:
    """A small captioner for the small model's VAE in the host's folder models/captioners."""
    from comfyui_spacetime.nodes import caption

    caption.register()
    folder = host_base / "models" / "captioners"
    folder.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode(False):
        vae = tiny_vae()
        save_captioner(folder / OWN, tiny_captioner(vae), encoder(vae)(probe_frames()), {"vae": "tiny"})
    return OWN


@pytest.fixture(scope="module")
def vision_model(inprocess: Any, host_base: Path) -> Iterator[str]:
    """A small random model that sees in the host's folder models/LLM."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    folder = host_base / "models" / "LLM" / "seeing"
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", eos_token="</s>", additional_special_tokens=["<image>"]
    )
    side = {"height": 28, "width": 28}
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size=side), tokenizer, patch_size=14,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template="{% for turn in messages %}USER {% for part in turn['content'] %}"
        "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}",
    )  # fmt: skip
    processor.save_pretrained(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.inference_mode(False):
        torch.manual_seed(0)
        text = LlamaConfig(vocab_size=len(WORDS), eos_token_id=2, bos_token_id=1, num_key_value_heads=1, **sizes)
        sight = CLIPVisionConfig(image_size=28, patch_size=14, **sizes)
        net = LlavaForConditionalGeneration(LlavaConfig(vision_config=sight, text_config=text, image_token_index=3))
        net.generation_config.suppress_tokens = [0, 1, 2, 3]  # random weights would say no word
        net.save_pretrained(folder)
    yield "seeing"


def run(engine: str = "own", **options: Any) -> Any:
    from comfyui_spacetime.nodes.caption import CaptionVideo

    values = {"tell": "as it comes", "longest": 4.0, "style": "spacetime", "length": "short", "language": "English",
              "model": OWN if engine == "own" else "the first one found", "seed": 3}  # fmt: skip
    return CaptionVideo.execute(engine=engine, **{**values, **options})


def file(name: str = "turtle_beach.mp4") -> Any:
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(WORKFLOWS / "inputs" / name))


def cut() -> torch.Tensor:
    """Frames of two scenes, of two seconds each."""
    scenes = torch.rand(2, 1, 4, 4, 3, generator=torch.Generator().manual_seed(2)).repeat(1, 16, 1, 1, 1)
    return scenes.flatten(0, 1).repeat_interleave(16, 1).repeat_interleave(16, 2)


def test_a_video_is_told_on_the_node_by_the_packs_own_captioner(kit, own):
    output = run(video=file(), vae=kit.vae)
    assert output.ui.as_dict()["text"][0] == output.result[0]


def test_a_video_with_cuts_gives_its_shots(kit, own):
    board = parse_storyboard(run(images=cut(), vae=kit.vae).result[0])
    assert [(shot.seconds, shot.transition) for shot in board.shots] == [(2, "cut"), (2, "cut")]
    assert "0-2s:" not in run(images=cut(), vae=kit.vae, tell="one caption").result[0]


def test_what_is_asked_for_in_a_wrong_way_is_said(kit, own):
    for options, message in (
        ({"vae": kit.vae}, "Connect either a video or images"),
        ({"images": cut()}, "needs the VAE"),
        ({"images": cut(), "vae": kit.vae, "style": "wan"}, "writes the style spacetime, not wan"),
        ({"images": cut(), "vae": kit.vae, "model": "../small.safetensors"}, "There is no captioner"),
        ({"images": cut(), "engine": "local", "model": "../seeing"}, "There is no vision-language model"),
    ):
        with pytest.raises(ValueError, match=message):
            run(**options)


def test_a_model_of_the_hosts_folder_looks_under_its_memory_management(vision_model, monkeypatch):
    import comfy.model_management as mm

    from comfyui_spacetime.nodes import caption, expand, language_model

    heard: list[str] = []
    monkeypatch.setattr(expand.Told, "__call__", lambda self, text: heard.append(text))
    assert list(caption.vision_models()) == ["seeing"] and "seeing" not in language_model.language_models()
    assert run("local", images=cut(), tell="one caption").result[0]
    assert len(heard) > 3, "every word is told"
    assert any(isinstance(loaded.model.model, language_model._Shell) for loaded in mm.current_loaded_models)


def test_a_clip_that_sees_is_shown_the_frames(inprocess):
    asked = []
    clip = SimpleNamespace(
        tokenize=lambda text, **options: asked.append((text, options)) or text,
        generate=lambda tokens, **options: [1, 2],
        decode=lambda ids: TEXT,
    )
    assert run("local", images=cut(), clip=clip).result[0] == f"0-2s: {TEXT}\n2-4s: cut, {TEXT}"
    assert asked[0][0].startswith("You describe videos") and asked[0][1]["image"].shape == (4, 64, 64, 3)


def test_a_server_is_asked_once_for_each_shot(inprocess, serve, monkeypatch):
    server = serve(stream())
    monkeypatch.setenv("SPACETIME_LLM_URL", server.url)
    monkeypatch.setenv("SPACETIME_LLM_MODEL", "small")
    assert len(parse_storyboard(run("server", images=cut()).result[0]).shots) == 2 and len(server.asked) == 2


def test_a_cancel_stops_it(kit, own):
    import comfy.model_management as mm

    mm.interrupt_current_processing(True)
    try:
        with pytest.raises(mm.InterruptProcessingException):
            run(video=file(), vae=kit.vae)
    finally:
        mm.interrupt_current_processing(False)


def test_the_workflow_runs_as_it_is_shipped(inprocess, kit, own):
    prompt = to_api(load_workflow(WORKFLOWS / "caption_video.json"), inprocess.object_info)
    for setting in (f"Load Spacetime Model.checkpoint={NAME}", f"SpacetimeCaptionVideo.model={own}",
                    "Spacetime Sampler.steps=1", "SpacetimeEmptyLatent.size=64",
                    "SpacetimeEmptyLatent.seconds=1"):  # fmt: skip
        apply_setting(prompt, inprocess.object_info, setting)
    result = inprocess.run(prompt, lambda event, data: None)
    assert not result.refused and len(result.files) == 1
