"""The data for the stages of a job: fetched and prepared on demand, and kept apart from the evaluation data."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.dataset.files import DataFiles
from compression_runner.dataset.preparation import identity
from compression_runner.dataset.rows import Rows
from compression_runner.dataset.splitting import rows_wanted
from compression_runner.dataset.steps import single_steps, stepwise
from compression_runner.errors import InvalidInput
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.predictor import TensorInfo
from compression_runner.inference.stepping import Stepping
from compression_runner.pipeline.fetching import fetch_data
from compression_runner.storage import Readable
from compressionjob.data import DataRole
from compressionjob.spec import CompressionJobSpec

LOG: Final = logging.getLogger(__name__)
ACCIDENTAL: Final = 0.05
"""Largest share of the evaluation data that may be in the training data by accident; those samples are left out."""


class JobData:
    """The samples of each role. `teacher` fetches the job's model, and `model` another one, on demand.

    `inputs` are those of a source model that is a graph.
    """

    def __init__(
        self,
        spec: CompressionJobSpec,
        stores: Mapping[DataRole, Readable],
        files: Mapping[DataRole, DataFiles],
        scratch: Path,
        teacher: Callable[[], Artifact],
        model: Callable[[str], Artifact],
        inputs: Sequence[TensorInfo] = (),
    ) -> None:
        self._spec = spec
        self._stores = stores
        self._files = files
        self._scratch = scratch
        self._teacher = teacher
        self._model = model
        self._inputs = inputs
        self._fetched: dict[DataRole, Path] = {}
        self._loaded: dict[tuple[DataRole, str], SampleSet] = {}
        self.sequence_length = spec.benchmark.sequence_length
        self._axes: Mapping[str, int | None] = {}
        self._single = False
        self._state = {tensor.input: tensor.output for tensor in spec.model.state}
        self._steps: dict[tuple[DataRole, str], SampleSet] = {}

    def teacher(self) -> Artifact:
        """Return the job's source model."""
        return self._teacher()

    def model(self, location: str) -> Artifact:
        """Return another model that a stage's parameters name."""
        return self._model(location)

    def samples(self, role: DataRole, model_dir: Path) -> SampleSet:
        """Return the samples of a role for stages, prepared with the files of `model_dir`: sequences as single steps.

        Raises InvalidInput for unusable samples, or if more than a few are in the evaluation data.
        """
        sequences = self.sequences(role, model_dir)
        if not sequences.state:
            return sequences
        key = (role, identity(model_dir))
        if key not in self._steps:
            with stepwise(open_predictor(self._teacher().model_file, 1, "onnxruntime"), sequences) as predictor:
                self._steps[key] = single_steps(predictor, sequences) if isinstance(predictor, Stepping) else sequences
        return self._steps[key]

    def sequences(self, role: DataRole, model_dir: Path) -> SampleSet:
        """Return the samples of a role as they are measured; of a model with a state they are sequences.

        Raises the same errors as `samples`.
        """
        # Stages rarely change the preprocessing, and decoding sixty thousand images takes almost a minute.
        key = (role, identity(model_dir))
        if key not in self._loaded:
            loaded = self._load(role, model_dir)
            chosen = loaded if role == "evaluation" else self._apart(loaded, role, model_dir)
            self._loaded[key] = replace(chosen, axes=self._axes, single=self._single, state=self._state)
        return self._loaded[key]

    def place_batch(self, axes: Mapping[str, int | None], *, single: bool = False) -> None:
        """Batch all samples along these axes of the model's inputs, which were located by running it.

        With `single`, the model takes one sample at a time.
        """
        self._axes, self._single = axes, single
        self._steps.clear()
        self._loaded = {key: replace(samples, axes=axes, single=single) for key, samples in self._loaded.items()}

    def file(self, role: DataRole) -> Path:
        """Return the file or folder of a role on this machine."""
        if role not in self._fetched:
            into = self._scratch / "data" / role
            self._fetched[role] = fetch_data(self._stores[role], self._files[role], self._rows(role), into)
        return self._fetched[role]

    def _rows(self, role: DataRole) -> Rows:
        part = self._spec.data.source_for(role)
        return rows_wanted(self._spec.data.split, role, part.limit if part else 0)

    def _load(self, role: DataRole, model_dir: Path) -> SampleSet:
        part = self._spec.data.source_for(role)
        if part is None:
            raise ValueError(f"the job has no {role} data")
        return load_samples(
            part,
            self.file(role),
            task=self._spec.model.task,
            model_dir=model_dir,
            sequence_length=self.sequence_length,
            metric=self._spec.labelled_metric if role == "evaluation" else None,
            role=role,
            split=self._spec.data.split,
            inputs=self._inputs,
        )

    def _apart(self, learned: SampleSet, role: DataRole, model_dir: Path) -> SampleSet:
        measured = {_digest(sample) for sample in self.sequences("evaluation", model_dir).samples}
        among = [_digest(sample) in measured for sample in learned.samples]
        count = sum(among)
        if count == 0:
            return learned
        if count > ACCIDENTAL * len(measured):
            problem = f"{count} of its samples are among the {len(measured)} that the result is measured on"
            field = f"spec.data.{self._spec.data.field_of(role)}.source"
            remedy = "give data that the model is not measured on, or divide one source with spec.data.split"
            part = self._spec.data.source_for(role)
            raise InvalidInput("EvaluationDataInTraining", field, part.source if part else "", problem, remedy)
        LOG.warning("%d %s samples are left out: they are among the evaluation data", count, role)
        return learned.only([row for row, left_out in enumerate(among) if not left_out])


def _digest(sample: Mapping[str, Any]) -> bytes:
    """Return the digest of a sample's content."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(sample):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(sample[name]).tobytes())
    return digest.digest()
