# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a ComfyUI: which one is used, with which Python and flags, and how the pack gets into it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from comfyui_spacetime.host import comfy, serve, setup, tools

ENTRY = Path(__file__).resolve().parent.parent / "host" / "entry.py"


def make_comfyui(root, version="0.99.1"):
    (root / "comfy").mkdir(parents=True)
    (root / "custom_nodes").mkdir()
    for name in ("main.py", "nodes.py"):
        (root / name).touch()
    (root / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
    return root


def make_python(venv):
    python = setup.venv_python(venv)
    python.parent.mkdir(parents=True)
    python.touch()
    return python


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A clone of its own folder: its root, its .host and its embedded ComfyUI lie in a temporary folder."""
    clone = tmp_path / "clone"
    clone.mkdir()
    monkeypatch.setattr(comfy, "ROOT", clone)
    monkeypatch.setattr(comfy, "OUTPUT", clone / "output")
    monkeypatch.setattr(setup, "HOST_HOME", clone / ".host")
    monkeypatch.setattr(setup, "has_nvidia", lambda: False)
    monkeypatch.delenv("COMFYUI_ARGS", raising=False)
    return clone


def test_the_embedded_host_is_used_where_none_is_named(own):
    make_comfyui(setup.embedded_root(), "0.3.75")
    host = comfy.find_host({})
    assert (host.kind, host.version, host.root) == ("embedded", "0.3.75", setup.embedded_root())


def test_without_any_host_the_remedy_is_named(own):
    with pytest.raises(comfy.HostError, match=r"run ./spacetime setup, or name yours with COMFYUI=/path"):
        comfy.find_host({})


def test_a_named_host_comes_first_with_the_python_of_its_environment(own, tmp_path):
    make_comfyui(setup.embedded_root())
    root = make_comfyui(tmp_path / "theirs")
    python = make_python(root / "venv")
    host = comfy.find_host({"COMFYUI": str(root)})
    assert (host.kind, host.root, host.python) == ("named", root, python)


def test_another_python_can_be_named(own, tmp_path):
    root = make_comfyui(tmp_path / "theirs")
    make_python(root / "venv")
    host = comfy.find_host({"COMFYUI": str(root), "COMFYUI_PYTHON": sys.executable})
    assert host.python == Path(sys.executable)


def test_a_name_without_a_comfyui_is_refused(own, tmp_path):
    with pytest.raises(comfy.HostError, match="is not a ComfyUI folder"):
        comfy.find_host({"COMFYUI": str(tmp_path)})


def test_a_clone_in_custom_nodes_belongs_to_that_comfyui(tmp_path, monkeypatch):
    root = make_comfyui(tmp_path / "ComfyUI")
    monkeypatch.setattr(comfy, "ROOT", root / "custom_nodes" / "ComfyUI-Spacetime")
    comfy.ROOT.mkdir()
    host = comfy.find_host({})
    assert (host.kind, host.root) == ("parent", root)
    assert "--base-directory" not in host.flags()
    assert "--extra-model-paths-config" not in host.flags()


def test_the_embedded_host_gets_the_pack_by_a_link_in_its_base_directory(own):
    make_comfyui(setup.embedded_root())
    flags = comfy.find_host({}).flags()
    base = Path(flags[flags.index("--base-directory") + 1])
    assert (base / "custom_nodes" / "ComfyUI-Spacetime").resolve() == own
    assert flags[flags.index("--output-directory") + 1] == str(own / "output")
    assert "--cpu" in flags


def test_a_named_host_gets_the_pack_by_a_path_configuration_and_nothing_is_written_to_it(own, tmp_path):
    root = make_comfyui(tmp_path / "theirs")
    before = sorted(root.rglob("*"))
    flags = comfy.find_host({"COMFYUI": str(root)}).flags()
    config = Path(flags[flags.index("--extra-model-paths-config") + 1])
    assert config.read_text() == f"spacetime:\n  base_path: {own}/.host/link\n  custom_nodes: custom_nodes\n"
    assert (own / ".host" / "link" / "custom_nodes" / "ComfyUI-Spacetime").resolve() == own
    assert sorted(root.rglob("*")) == before


def test_a_named_host_that_has_the_pack_gets_it_once(own, tmp_path):
    root = make_comfyui(tmp_path / "theirs")
    (root / "custom_nodes" / "spacetime-dev").symlink_to(own)
    assert "--extra-model-paths-config" not in comfy.find_host({"COMFYUI": str(root)}).flags()


def test_further_flags_come_from_the_environment(own, monkeypatch):
    make_comfyui(setup.embedded_root())
    monkeypatch.setenv("COMFYUI_ARGS", "--lowvram --reserve-vram 1")
    assert comfy.find_host({}).flags()[-3:] == ["--lowvram", "--reserve-vram", "1"]


def test_an_outdated_link_is_replaced(own, tmp_path):
    folder = tmp_path / "custom_nodes"
    folder.mkdir()
    (folder / "ComfyUI-Spacetime").symlink_to(tmp_path / "moved away")
    comfy.link_clone(folder)
    assert (folder / "ComfyUI-Spacetime").resolve() == own
    assert [path.name for path in folder.iterdir()] == ["ComfyUI-Spacetime"]


@pytest.mark.parametrize(
    ("text", "nvidia", "usable"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n", True, False),
        ("__version__ = '2.13.0'\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", True, True),
        ("__version__ = '2.13.0'\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", False, False),
        ("__version__ = '2.13.0'\ncuda: Optional[str] = None\nhip: Optional[str] = '7.1'\n", False, True),
    ],
)
def test_a_gpu_counts_when_the_build_and_the_machine_have_one(tmp_path, monkeypatch, text, nvidia, usable):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(setup, "has_nvidia", lambda: nvidia)
    (tmp_path / "version.py").write_text(text)
    assert comfy.torch_has_device(tmp_path / "version.py") is usable


def test_the_build_of_this_pythons_torch_is_found_without_importing_it():
    assert comfy.torch_version_file(Path(sys.executable)).is_file()


def test_a_port_in_use_is_refused_with_the_remedy():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(comfy.HostError, match=f"port {port} is in use; choose another one with --port"):
            serve.choose_port(port)
    assert serve.choose_port(port) == port


def test_the_server_listens_on_this_machine_only_unless_told_otherwise(own):
    make_comfyui(setup.embedded_root())
    command = serve.server_command(comfy.find_host({}), 8200, ["--listen", "0.0.0.0"])
    assert command[command.index("--listen") + 1] == "127.0.0.1"
    assert command[-2:] == ["--listen", "0.0.0.0"]  # the last one counts
    assert command[command.index("--preview-method") + 1] == "latent2rgb"


def in_a_fresh_python(code):
    """Run code with this Python after the mendings of ``host/shims.py``; torchaudio counts as missing."""
    script = (
        "import sys, importlib.util; sys.path.insert(0, sys.argv[1]); from entry import load_package; load_package();"
        "from comfyui_spacetime.host import shims\n"
        "if importlib.util.find_spec('torchaudio'): sys.exit(77)\n"
        f"shims.install()\n{code}"
    )
    command = [sys.executable, "-c", script, str(ENTRY.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("torchaudio is installed")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stand_in_for_torchaudio_imports_and_says_what_is_missing():
    out = in_a_fresh_python(
        "import torchaudio, torchaudio.functional as f\n"
        "class Sub(torchaudio.transforms.MelScale): pass\n"
        "try: f.resample(1, 2, 3)\n"
        "except RuntimeError as error: print(error)"
    )
    assert out.startswith("This needs torchaudio, which is not installed")


def test_torchvision_imports_whether_or_not_its_compiled_operators_load():
    out = in_a_fresh_python("import torchvision, torch; print(hasattr(torch.ops.torchvision, 'nms'))")
    assert out == "True\n"


def test_what_a_users_python_lacks_is_named_by_package():
    assert tools.missing(["torch>=2", "no-such-package>=1", "pytest"]) == ["no-such-package>=1"]


def test_tools_never_go_into_the_users_own_python(tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(tools.entry, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(setup, "HOST_HOME", tmp_path)
    monkeypatch.setattr(setup, "run_pip", lambda arguments, purpose, report, python: seen.append(arguments))
    monkeypatch.setattr(tools, "_python_with_pip", lambda: Path(sys.executable))
    tools.ensure(["no-such-package>=1"])
    assert seen == [["install", "--target", str(tmp_path / "tools"), "--upgrade", "no-such-package>=1"]]
    assert "your ComfyUI is not changed" in capsys.readouterr().err


def test_chromium_can_be_named(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/opt/browser")
    assert tools.find_chromium() == "/opt/browser"
    monkeypatch.delenv("CHROMIUM")
    monkeypatch.setenv("PATH", os.devnull)
    assert tools.find_chromium() is None
