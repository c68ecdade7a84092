"""The decoder alone, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_base_install_decodes_without_torch(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", str(source)], check=True)
    code = "import importlib.util as u; print([m for m in ('torch', 'gsplat') if u.find_spec(m)])"
    listed = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    assert listed.stdout.strip() == "[]"
    golden, back = ROOT / "tests/golden/small.csgs", tmp_path / "back.ply"
    tools = tmp_path / "env/bin"
    subprocess.run([tools / "csgs-decode", "--verify", golden, back], check=True, cwd=tmp_path)
    ours = tmp_path / "ours.ply"
    subprocess.run(
        [Path(sys.executable).with_name("csgs-decode"), golden, ours], check=True, cwd=tmp_path
    )
    assert back.read_bytes() == ours.read_bytes()
    refused = subprocess.run(
        [tools / "csgs-encode", back, tmp_path / "a.csgs"], capture_output=True, text=True
    )
    assert refused.returncode == 5 and "csgs_codec[encode]" in refused.stderr
