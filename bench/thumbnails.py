# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the bundled workflows: what each of them makes with the bundled model, at the first try.

    ./spacetime bench thumbnails [NAME ...] [--out workflows]

Every workflow that loads the bundled checkpoint is run as it stands; its picture shows four frames of what it saved
last, or four pictures. That of caption_video, which has words in it, is left as it is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "workflows"
WIDTH, SHOWN = 176, 4  # pixels of a frame in the picture; frames
WORDS = ("caption_video",)
EVENLY = (0.0, 1 / 3, 2 / 3, 1.0)  # when in a video frames are taken
MOMENTS = {"connect": (0.3, 0.46, 0.54, 0.7)}  # where they are not taken evenly: two of the bridge


def bundled() -> list[str]:
    """The workflows that run with nothing but the bundled model."""
    texts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
    own = [name for name, w in texts.items() if any(n["type"] == "SpacetimeLoadModel" for n in w.get("nodes", ()))]
    return [name for name in own if name not in WORDS]


def four_of(files: Sequence[Path], moments: Sequence[float] = EVENLY) -> list[NDArray[np.uint8]]:
    """Four frames of the last video among the files, at ``moments`` (0..1), or the first four pictures."""
    from ..video.reader import read_frames

    videos = [path for path in files if path.suffix == ".mp4"]
    if not videos:
        return [np.asarray(Image.open(path).convert("RGB")) for path in files[:SHOWN]]
    frames = list(read_frames(videos[-1]))
    return [frames[round(moment * (len(frames) - 1))] for moment in moments]


def sheet(frames: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """Two rows of two frames, all of the first one's shape."""
    height = round(WIDTH * frames[0].shape[0] / frames[0].shape[1])
    picture = Image.new("RGB", (2 * WIDTH, 2 * height))
    for i, frame in enumerate(frames):
        small = Image.fromarray(frame).resize((WIDTH, height), Image.Resampling.LANCZOS)
        picture.paste(small, (i % 2 * WIDTH, i // 2 * height))
    return picture


def main() -> None:
    """Run the workflows in one host and write their pictures."""
    names = bundled()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; all of them")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the pictures go (workflows)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in names]
    if unknown:
        parser.error(f"no bundled workflow {unknown[0]!r} has a picture of this kind: choose of {', '.join(names)}")
    from ..host.comfy import find_host
    from ..host.runner import Runner
    from ..host.workflow import load_workflow, to_api

    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(find_host(), Path(folder), ["--verbose", "ERROR"])
        for name in options.names or names:
            result = runner.run(to_api(load_workflow(FOLDER / f"{name}.json"), runner.object_info))
            files = [Path(folder) / "output" / f.subfolder / f.filename for f in result.files]
            sheet(four_of(files, MOMENTS.get(name, EVENLY))).save(options.out / f"{name}.jpg", quality=85)
            print(options.out / f"{name}.jpg", flush=True)


if __name__ == "__main__":
    main()
