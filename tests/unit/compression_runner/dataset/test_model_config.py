"""All readers of config.json refuse bad content and accept a byte order mark."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compression_runner.dataset.generation import text_generation
from compression_runner.dataset.labels import class_names
from compression_runner.dataset.multi_label import multi_label_of
from compression_runner.dataset.pad_tokens import pads_left
from compression_runner.dataset.pixels import channels_of
from compression_runner.dataset.text_lengths import require_positions
from compression_runner.dataset.videos import frames_wanted
from compression_runner.errors import InvalidInput

READERS: list[Callable[[Path], Any]] = [
    class_names,
    channels_of,
    lambda folder: require_positions(folder, 8),
    lambda folder: multi_label_of(folder, None),
    pads_left,
    frames_wanted,
    text_generation,
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("content", ["[1]", "{bad", "null"])
def test_a_file_without_a_json_object_is_refused(content: str, read: Callable[[Path], Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"spec\.model\.source: 'config\.json': it is not a JSON object; save the"):
        read(tmp_path)


def test_generation_config_is_read_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"is_encoder_decoder": true, "decoder_start_token_id": 2}')
    (tmp_path / "generation_config.json").write_text('{"max_new_tokens": 7}', encoding="utf-8-sig")
    assert text_generation(tmp_path).longest == 7
    (tmp_path / "generation_config.json").write_text("[1]")
    with pytest.raises(InvalidInput, match=r"'generation_config\.json': it is not a JSON object; save the"):
        text_generation(tmp_path)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert class_names(tmp_path) == {}
    (tmp_path / "config.json").write_text('{"id2label": {"0": "cat"}}', encoding="utf-8-sig")
    assert class_names(tmp_path)["cat"] == 0
