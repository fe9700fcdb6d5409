"""The files of a graph in any format."""

from pathlib import Path

from compression_runner.formats.onnx_files import external_files
from compression_runner.formats.openvino_files import IR


def files_of_graph(graph: Path) -> list[Path]:
    """Return the graph file and its weight files: external data of ONNX, or the .bin of an OpenVINO IR."""
    if graph.suffix == Path(IR).suffix:
        return [graph, graph.with_suffix(".bin")]
    return [graph, *external_files(graph)]
