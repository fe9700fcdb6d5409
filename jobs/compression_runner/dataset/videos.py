"""Convert videos to frames with the settings in the model's preprocessor_config.json."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.images import PREPROCESSOR, channels_wanted, plain, processor, whole_bytes
from compression_runner.dataset.model_config import model_config
from compression_runner.dataset.pixels import pixels_of, with_channels
from compression_runner.dataset.problems import COLUMNS, bad_data
from compression_runner.dataset.table import Column
from compression_runner.errors import LIBRARY_ERRORS, cause

FIELD: Final = f"{COLUMNS}.video"
REMEDY: Final = "give arrays of frames x height x width x channels, or lists of encoded frames (PNG, JPEG)"


def prepare_videos(videos: Column, model_dir: Path) -> list[NDArray[np.float32]]:
    """Return each video as an array of shape (frames, channels, height, width).

    A video is an array of shape (frames, height, width, channels) or (frames, height, width), or a list of encoded
    frames. A model that states its number of frames gets that many, evenly spaced over the video. Without a
    preprocessor_config.json, integer pixels are divided by 255. Raises InvalidInput, with the row, for a value that is
    not a video for the model.
    """
    count = frames_wanted(model_dir)
    prepare = processor(model_dir) if (model_dir / PREPROCESSOR).is_file() else None
    prepared = []
    for row, video in enumerate(videos):
        frames = _frames(video, row, count)
        channels = channels_wanted(frames, model_dir, prepare)
        frames = [with_channels(frame, channels, f"a frame of row {row}", FIELD) for frame in frames]
        _require_one_size(frames, row)
        if prepare is None:
            prepared.append(np.stack([plain(frame) for frame in frames]))
            continue
        try:
            # A list in a list is one video of several images.
            batch = [[whole_bytes(frame) for frame in frames]]
            values = np.asarray(prepare(batch, return_tensors="np", input_data_format="channels_last")["pixel_values"])
        except LIBRARY_ERRORS as error:
            problem = f"the model's processor refuses row {row}: {cause(error)}"
            raise bad_data(FIELD, frames[0].shape, problem, "give videos as the model was trained on") from error
        # A processor of single images returns no video dimension.
        prepared.append(np.asarray(values[0] if values.ndim == 5 else values, dtype=np.float32))
    for row, video in enumerate(prepared):
        if video.shape != prepared[0].shape:
            problem = (
                f"row {row} has shape {video.shape} (frames, channels, height, width), and row 0 {prepared[0].shape}"
            )
            remedy = f"give videos of one shape, or name num_frames in config.json and put a {PREPROCESSOR} beside it"
            raise bad_data(FIELD, video.shape, problem, remedy)
    return prepared


def frames_wanted(model_dir: Path) -> int | None:
    """Return the number of frames in the model's configuration; None if it has none."""
    named = (model_config(model_dir) or {}).get("num_frames")
    return named if isinstance(named, int) and named > 0 else None


def evenly(count: int, number: int) -> NDArray[np.int64]:
    """Return `number` of `count` frame indices, evenly spaced from first to last, with repetitions if too few."""
    return np.linspace(0, count - 1, number).round().astype(np.int64)


def _frames(video: Any, row: int, frame_count: int | None) -> list[NDArray[Any]]:
    """Return the frames for the model, each of shape (height, width, channels)."""
    if not isinstance(video, (list, tuple, np.ndarray)):
        raise bad_data(FIELD, type(video).__name__, f"row {row} is not a video", REMEDY)
    if not len(video):
        raise bad_data(FIELD, "0 frames", f"row {row} is empty", "leave empty videos out")
    chosen = evenly(len(video), frame_count) if frame_count else range(len(video))
    return [pixels_of(video[index], row, FIELD) for index in chosen]


def _require_one_size(frames: Sequence[NDArray[Any]], row: int) -> None:
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        raise bad_data(FIELD, sorted(shapes), f"the frames of row {row} differ in size", "give frames of one size")
