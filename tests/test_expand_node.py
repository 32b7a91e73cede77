# SPDX-License-Identifier: GPL-3.0-or-later
"""Expand Prompt as a node, its language models under the host's memory management, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from node_kit import NAME, as_the_executor_does, make_kit  # noqa: F401
from test_expand_server import TEXT, Talker, make_serve, stream  # noqa: F401

from comfyui_spacetime.host import cli
from comfyui_spacetime.host.overrides import apply_setting
from comfyui_spacetime.host.workflow import load_workflow, to_api

WORKFLOW = Path(__file__).resolve().parent.parent / "workflows" / "expand_prompt.json"
WORDS = ["<unk>", "<s>", "</s>", "a", "red", "car", "dog", "drives", "left", "to", "the", "beach", "on", ".", "prompt"]


@pytest.fixture(scope="module")
def language_model(inprocess: Any, host_base: Path) -> str:
    """A small random Llama in the host's folder models/LLM."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = host_base / "models" / "LLM" / "tiny"
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>")
    tokenizer.save_pretrained(folder)
    with torch.inference_mode(False):
        torch.manual_seed(0)
        config = LlamaConfig(vocab_size=len(WORDS), hidden_size=32, intermediate_size=32, num_hidden_layers=2,
                             num_attention_heads=2, num_key_value_heads=1, eos_token_id=2, bos_token_id=1,
                             max_position_embeddings=4096)  # fmt: skip
        LlamaForCausalLM(config).save_pretrained(folder)
    (host_base / "models" / "LLM" / "encoder").mkdir(exist_ok=True)
    (host_base / "models" / "LLM" / "encoder" / "config.json").write_text('{"architectures": ["T5EncoderModel"]}')
    return "tiny"


def run(engine: str = "rules", prompt: str = "a red car drives left", **options: Any) -> Any:
    from comfyui_spacetime.nodes.expand import ExpandPrompt

    values = {"style": "wan", "length": "short", "language": "as the prompt", "model": "the first one found", "seed": 3}
    return ExpandPrompt.execute(prompt, engine=engine, **{**values, **options})


def shown(output: Any) -> str:
    return output.ui.as_dict()["text"][0]


@pytest.mark.host
def test_the_node_gives_both_prompts_and_shows_them(inprocess):
    output = run(prompt="a red car drives left, no people")
    text, negative = output.result
    assert "A red car drives left" in text and negative.startswith("people, ")
    assert text in shown(output) and f"Negative: {negative}" in shown(output)


@pytest.mark.host
def test_a_language_model_of_the_hosts_folder_writes_under_its_memory_management(language_model, monkeypatch):
    import comfy.model_management as mm

    from comfyui_spacetime.nodes import expand
    from comfyui_spacetime.nodes import language_model as hosted

    heard: list[str] = []
    monkeypatch.setattr(expand.Told, "__call__", lambda self, text: heard.append(text))
    assert list(hosted.language_models()) == ["tiny"]
    output = run("local")
    assert len(heard) > 3, "every word is told"
    assert any(isinstance(loaded.model.model, hosted._Shell) for loaded in mm.current_loaded_models)
    assert "took over" in shown(output), "random weights lose the prompt, and the node says who wrote instead"
    assert "red car drives left" in output.result[0]


@pytest.mark.host
def test_a_cancel_stops_a_language_model(language_model):
    import comfy.model_management as mm

    mm.interrupt_current_processing(True)
    try:
        with pytest.raises(mm.InterruptProcessingException):
            run("local")
    finally:
        mm.interrupt_current_processing(False)


@pytest.mark.host
@pytest.mark.parametrize("name", ["../tiny", "encoder", "/etc"])
def test_only_listed_models_are_loaded(language_model, name):
    with pytest.raises(ValueError, match="There is no language model"):
        run("local", model=name)


@pytest.mark.host
def test_a_clip_that_writes_takes_the_place_of_a_file(inprocess):
    asked = []
    clip = SimpleNamespace(
        tokenize=lambda text, **options: asked.append((text, options)) or text,
        generate=lambda tokens, **options: [1, 2],
        decode=lambda ids: "A red car drives left past a row of trees.",
    )
    output = run("local", clip=clip, image=torch.zeros(9, 32, 32, 3))
    assert output.result[0] == "A red car drives left past a row of trees."
    text, options = asked[0]
    assert "<prompt>a red car drives left</prompt>" in text and options["image"].shape[0] == 4


@pytest.mark.host
def test_a_clip_that_cannot_write_is_named(kit):
    with pytest.raises(ValueError, match=r"cannot write text|writes no text"):
        run("local", clip=kit.clip)


@pytest.mark.host
def test_a_server_is_asked_with_pictures_and_its_text_taken(inprocess, serve, monkeypatch):
    server = serve(stream())
    monkeypatch.setenv("SPACETIME_LLM_URL", server.url)
    monkeypatch.setenv("SPACETIME_LLM_MODEL", "small")
    output = run("server", image=torch.rand(2, 40, 1000, 3))
    assert output.result[0] == TEXT
    parts = server.asked[0][2]["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "image_url"]


@pytest.mark.host
def test_frames_of_a_video_are_spread_over_it(inprocess):
    from comfy_api.latest import InputImpl

    from comfyui_spacetime.nodes.expand import seen
    from comfyui_spacetime.video.frames import to_bytes
    from comfyui_spacetime.video.still import jpeg

    pictures = seen(None, InputImpl.VideoFromFile(str(WORKFLOW.parent / "inputs" / "turtle_beach.mp4")))
    assert pictures is not None and pictures.shape[0] == 4 and jpeg(to_bytes(pictures[0]))[:2] == b"\xff\xd8"
    assert (pictures[0] - pictures[-1]).abs().mean() > 0.001


@pytest.mark.host
def test_a_server_that_is_not_configured_is_an_error_that_says_what_to_do(inprocess, monkeypatch):
    monkeypatch.delenv("SPACETIME_LLM_URL", raising=False)
    with pytest.raises(ValueError, match=r"set SPACETIME_LLM_URL .*spacetime-llm\.toml"):
        run("server")


@pytest.mark.host
def test_a_picture_alone_needs_an_engine_that_sees(inprocess):
    with pytest.raises(ValueError, match="The engine rules sees no images"):
        run("rules", "", image=torch.zeros(1, 32, 32, 3))
    assert "left out" in shown(run("rules", image=torch.zeros(1, 32, 32, 3)))


@pytest.mark.host
def test_the_workflow_runs_as_it_is_shipped(inprocess, kit, host_base):
    prompt = to_api(load_workflow(WORKFLOW), inprocess.object_info)
    for setting in (f"Load Spacetime Model.checkpoint={NAME}", "Spacetime Sampler.steps=1",
                    "SpacetimeEmptyLatent.size=64", "SpacetimeEmptyLatent.seconds=1"):  # fmt: skip
        apply_setting(prompt, inprocess.object_info, setting)
    result = inprocess.run(prompt, lambda event, data: None)
    assert not result.refused and len(result.files) == 1


# the command


def command(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(cli.cli, ["expand", *arguments], **options)


def test_the_prompt_alone_goes_to_stdout():
    done = command("a red car drives left, no people", "--style", "wan")
    assert done.exit_code == 0 and done.stdout.count("\n") == 1 and "A red car drives left" in done.stdout
    assert done.stderr.startswith("negative prompt: people, ")


def test_a_prompt_is_read_from_stdin_and_printed_as_json():
    done = command("-", "--json", input="两只猫在沙滩上")
    content = json.loads(done.stdout)
    assert content["engine"] == "rules" and "两只猫" in content["prompt"] and not done.stderr


def test_a_prompt_is_needed():
    assert "Missing PROMPT" in command().stderr


def test_an_engine_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.delenv("SPACETIME_LLM_URL", raising=False)
    done = command("a dog", "--engine", "server")
    assert done.exit_code == 1 and done.stdout == ""
    assert done.stderr.startswith("spacetime: No language model server is configured")
