"""Compress weight files losslessly, as the last stage, for any format."""

from typing import Final

from compression_runner.artifact import Artifact, File, Packing, seal
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.pack import Pack


def run(artifact: Artifact, parameters: Pack, context: StageContext) -> Outcome:
    """Return the artifact with each weight file packed; unpack each packed file once to verify it."""
    from compression_runner.formats.companions import copy_companions
    from compression_runner.methods.pack.codecs import CODECS, compress, decompress
    from compression_runner.methods.pack.spans import fill_gaps, spans_of

    copy_companions(artifact, context.output)
    codec, spans = CODECS[parameters.codec], spans_of(artifact)
    originals: dict[str, File] = {}
    copied = 0

    def advance(count: int) -> None:
        nonlocal copied
        copied += count
        context.advance(copied / max(1, artifact.size_bytes))

    for file in artifact.files:
        if not file.weights and not file.path.endswith(".safetensors.index.json"):
            continue
        packed = f"{file.path}{codec.suffix}"
        target = context.output / packed
        target.parent.mkdir(parents=True, exist_ok=True)
        parts = spans.get(file.path) or fill_gaps([], file.size)
        sha256 = compress(codec, parameters.effective_level, artifact.path / file.path, target, parts, advance)
        if sha256 != file.sha256 or decompress(codec, target, None) != (file.size, file.sha256):
            raise OSError(f"{target} does not unpack to its input: the disk or the memory of this machine is faulty")
        originals[packed] = file
    sealed = seal(context.output, artifact.format, artifact.task, Packing(parameters.codec, originals))
    details = {"codec": parameters.codec, "unpackedBytes": artifact.size_bytes}
    if parameters.effective_level is not None:
        details["level"] = parameters.effective_level
    return Outcome(sealed, details)


METHOD: Final = Method(
    name="pack",
    version=3,
    accepts=always("transformers", "onnx", "openvino", "torch-export", "compressed-tensors", "modelopt"),
    run=run,
    libraries=("zstandard", "lz4", "zipnn", "numpy"),
    # Files are processed in chunks; only zipnn loads torch.
    need=Need(130 * MIB, 0.0, 650 * MIB, 0.0),
    effort=2.0,
)
