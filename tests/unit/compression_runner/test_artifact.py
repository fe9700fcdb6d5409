"""The digest of a published model, as its users can compute it."""

import re
import subprocess
import sys
from pathlib import Path

from compression_runner.artifact import seal

PAGE = Path(__file__).parents[3] / "docs" / "security.md"


def documented_digest(folder: Path, model: Path) -> str:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    place = folder / "digest.py"
    place.write_text(script)
    done = subprocess.run([sys.executable, str(place), str(model)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_pages_script_detects_a_replaced_file(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "onnx").mkdir(parents=True)
    (model / "onnx" / "model.onnx").write_bytes(b"weights")
    (model / "config.json").write_text("{}")
    artifact = seal(model, "onnx", "text-embedding")
    assert documented_digest(tmp_path, model) == artifact.digest
    (model / "onnx" / "model.onnx").write_bytes(b"others!")
    assert documented_digest(tmp_path, model) != artifact.digest
