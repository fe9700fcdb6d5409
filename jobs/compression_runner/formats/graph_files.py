"""The files that a graph consists of, whatever its format is."""

from pathlib import Path

from compression_runner.formats.onnx_files import external_files
from compression_runner.formats.openvino_files import IR


def files_of_graph(graph: Path) -> list[Path]:
    """The graph and what holds its weights: external data of ONNX, the .bin of an OpenVINO IR."""
    if graph.suffix == Path(IR).suffix:
        return [graph, graph.with_suffix(".bin")]
    return [graph, *external_files(graph)]
