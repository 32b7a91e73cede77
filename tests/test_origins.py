# SPDX-License-Identifier: GPL-3.0-or-later
"""Latents, and what learnt on them, are never joined with a VAE that did not make them."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch

pytest.importorskip("cv2", reason="training needs opencv: pip install '.[training]'")

from tiny import tiny_dit, tiny_text, tiny_vae, write_tiny_checkpoint
from training_kit import write_made_up_latents, write_tiny_config

from comfyui_spacetime.models.checkpoint import save_checkpoint
from comfyui_spacetime.training import fewer, latents, publish, settings, train_caption, train_dit, train_lora
from comfyui_spacetime.training.origins import Origin, check_folder, fingerprint, one_vae
from comfyui_spacetime.training.run import Run
from comfyui_spacetime.training.saves import RunError, facts, latest


def other_vae(part="encoder"):
    """The tiny VAE with other weights in one part."""
    vae = tiny_vae()
    with torch.no_grad():
        getattr(vae, part).project.bias.add_(1)
    return vae


def publish_tiny(path, vae, dtype=torch.bfloat16):
    save_checkpoint(path, tiny_dit(), vae, tiny_text(), dtype=dtype)
    return path


def test_a_published_vae_has_the_fingerprint_of_the_weights_it_was_made_of_however_often(tmp_path):
    vae, mark = tiny_vae(), fingerprint(tiny_vae())
    for number in range(3):
        vae, _ = latents.open_vae(publish_tiny(tmp_path / f"{number}.safetensors", vae))
        assert fingerprint(vae) == mark
    assert not torch.equal(vae.encoder.patchify.weight, tiny_vae().encoder.patchify.weight), "it was rounded"
    assert latents.marked_vae(tmp_path / "0.safetensors")[1] == mark


def test_a_fingerprint_tells_encoders_and_scales_apart_but_not_decoders():
    mark, scaled = fingerprint(tiny_vae()), tiny_vae()
    scaled.scale.running_mean.add_(0.5)
    scaled.scale.num_batches_tracked.add_(5)
    assert len({mark, fingerprint(other_vae()), fingerprint(scaled)}) == 3
    assert fingerprint(other_vae("decoder")) == mark


@pytest.fixture
def encode(tmp_path, monkeypatch):
    """Runs ``train latents`` of two shards with a checkpoint; nothing is rendered. Gives the folder."""

    def made_up(vae, path, origin, *rest):
        x = torch.randn(2, vae.config.channels, 2, 4, 4)
        latents.write_shard(path, x, x[:, 0].abs(), torch.full((2,), 8.0), [{"clip": ["a dog"]}] * 2, origin)

    monkeypatch.setattr(latents, "encode_shard", made_up)

    def call(checkpoint, *more):
        words = ["--vae", str(checkpoint), "--out", str(tmp_path / "latents"), "--shards", "2", *more]
        monkeypatch.setattr(sys, "argv", ["latents", *words])
        latents.main()
        return tmp_path / "latents"

    return call


def test_latents_say_which_vae_and_world_they_are_of_and_more_of_them_can_be_made(tmp_path, encode):
    checkpoint = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    encode(checkpoint)
    folder = encode(checkpoint, "--split", "held out")
    for split in ("train", "held out"):
        assert latents.vae_of(folder, latents.load_latents(folder, split)) == fingerprint(tiny_vae())
    check_folder(folder, Origin(fingerprint(tiny_vae()), "nano"))
    with pytest.raises(RunError, match="holds latents of the world nano"):
        check_folder(folder, Origin(fingerprint(tiny_vae()), "full"))


@pytest.mark.parametrize(("change", "what"), [("vae", "another VAE"), ("world", "the world nano")])
def test_a_folder_of_another_vae_or_world_is_not_added_to(change, what, tmp_path, encode):
    checkpoint = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    encode(checkpoint)
    if change == "vae":
        publish_tiny(checkpoint, other_vae())
    said = f"holds latents of {what} \\(train-00000.safetensors\\): give another --out, or delete that folder"
    with pytest.raises(SystemExit, match=said):
        encode(checkpoint, "--first", "2", *(["--world", "full"] if change == "world" else []))
    assert len(list((tmp_path / "latents").iterdir())) == 2


def test_latents_of_an_older_version_count_as_any_vae_s(tmp_path, encode):
    write_made_up_latents(tmp_path / "latents")
    folder = encode(write_tiny_checkpoint(tmp_path / "tiny.safetensors"), "--first", "5")
    assert latents.vae_of(folder, latents.load_latents(folder, "train")) == fingerprint(tiny_vae())


def part_on(folder, kind=train_dit.DiTPart):
    """The tiny transformer on a folder's latents."""
    options = settings.load_settings(str(write_tiny_config(folder.parent)), "dit", [f"latents={folder}", "steps=1"])
    return kind(options.train.dit, train_dit.Trained(options.dit, tiny_text().config))


def test_a_folder_with_latents_of_two_vaes_is_refused_in_one_split_and_in_two(tmp_path):
    one, two = (write_made_up_latents(tmp_path / name, vae=name) for name in ("one", "two"))
    for path in two.glob("held-out-*"):
        shutil.copy(path, one)
    assert latents.load_latents(one, "train"), "the clips to train on are of one"
    with pytest.raises(RunError, match="holds latents of more than one VAE: encode all anew, into another folder"):
        part_on(one)
    shutil.copy(two / "train-00001.safetensors", one / "train-00009.safetensors")
    with pytest.raises(RunError, match="more than one VAE"):
        latents.load_latents(one, "train")
    assert one_vae(one, "", "a", "a", "") == "a" and one_vae(one) == ""


def trained(folder, out, steps=1):
    """The saved facts of a run that took so many steps on a folder's latents."""
    part = part_on(folder)
    Run(part, settings.Schedule(steps=steps, sample_every=0), out).go()
    return facts(latest(out))


def test_a_run_goes_on_with_latents_of_its_vae_or_of_an_unknown_one_only(tmp_path):
    known, other = (write_made_up_latents(tmp_path / vae, vae=vae) for vae in ("known", "other"))
    older = write_made_up_latents(tmp_path / "older")
    assert trained(known, tmp_path / "run")["latents_vae"] == "known"
    with pytest.raises(RunError, match=r"learnt on latents of another VAE than those in .*other: give another --out"):
        trained(other, tmp_path / "run", 2)
    assert trained(older, tmp_path / "run", 2)["latents_vae"] == "known", "it is not forgotten"
    assert trained(known, tmp_path / "run", 3)["step"] == 3


def test_a_run_of_an_older_version_goes_on(tmp_path):
    folder = write_made_up_latents(tmp_path / "latents", vae="known")
    said = trained(folder, tmp_path / "run")
    del said["latents_vae"]
    (latest(tmp_path / "run") / "run.json").write_text(json.dumps(said), encoding="utf-8")
    assert trained(folder, tmp_path / "run", 2)["latents_vae"] == "known"


def test_a_transformer_is_published_with_the_vae_that_it_knows_and_no_other(tmp_path, monkeypatch):
    folder = write_made_up_latents(tmp_path / "latents", vae=fingerprint(tiny_vae()))
    trained(folder, tmp_path / "run")
    right = publish_tiny(tmp_path / "right.safetensors", tiny_vae())
    wrong = publish_tiny(tmp_path / "wrong.safetensors", other_vae())

    def join(vae, out):
        words = ["--vae", str(vae), "--dit", str(tmp_path / "run"), "--out", str(tmp_path / out)]
        monkeypatch.setattr(sys, "argv", ["publish", *words])
        publish.main()
        return tmp_path / out

    assert join(right, "joined.safetensors").is_file()
    with pytest.raises(SystemExit, match=r"run learnt on latents of another VAE than that of .*: give the --vae"):
        join(wrong, "not.safetensors")
    assert not (tmp_path / "not.safetensors").exists()
    assert publish.generator(tmp_path / "run", right)
    with pytest.raises(RunError, match="another VAE"):
        publish.generator(tmp_path / "run", wrong)


def test_fewer_channels_lora_and_captioner_refuse_latents_that_their_checkpoint_did_not_make(tmp_path):
    folder = write_made_up_latents(tmp_path / "latents", vae="another")
    checkpoint = write_tiny_checkpoint(tmp_path / "tiny.safetensors")
    said = r"latents holds latents of another VAE than that of .*tiny\.safetensors: name the checkpoint"
    with pytest.raises(RunError, match=said):
        fewer.fewer(checkpoint, folder, 4, tmp_path / "few.safetensors")
    words = ["--out", str(tmp_path / "run"), "--set", f"latents={folder.as_posix()}", "--set", "steps=1"]
    with pytest.raises(SystemExit, match=said):
        train_lora.main([*words, "--start-from", str(checkpoint)])
    with pytest.raises(SystemExit, match=said):
        train_caption.main([*words, "--set", f"checkpoint={checkpoint.as_posix()}"])
