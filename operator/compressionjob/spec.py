"""CompressionJob: the manifest that an ML engineer writes."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import Field, StrictBool, ValidationError, model_validator

from compressionjob.consistency import (
    data_problems,
    fallback_problems,
    format_problems,
    metric_problems,
    overlap_problems,
    review_problems,
)
from compressionjob.data import Columns, Data, EvaluationData
from compressionjob.engine_misfits import misfit_problems
from compressionjob.engines import Engine
from compressionjob.errors import FieldProblem, InvalidSpec, kind_of, problems_of
from compressionjob.field_types import (
    Duration,
    ObjectName,
    Positive,
    Schema,
    TolerantSchema,
    with_rules,
    without_default,
)
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.locations import Hub, Location, LocationText, SourceText, Storage, parse_location
from compressionjob.model_state import MODEL_RULES, STATE_RULES, StateTensor, added_with, state_problems
from compressionjob.notifications import ReceiverNames
from compressionjob.objectives import AGREEMENT_METRICS, QualityMetric, Sla
from compressionjob.pipeline import Pipeline, order_problems
from compressionjob.retention import Retention
from compressionjob.review import Decision, ReviewPolicy, User
from compressionjob.rules import PIPELINE_RULES, SPEC_RULES
from compressionjob.runtime_limits import Interruptions, Retries
from compressionjob.serving import BENCHMARK_RULES, TOGETHER_TEXT, Serving
from compressionjob.serving_fit import serving_problems
from compressionjob.task_data import task_problems
from compressionjob.tasks import TASKS, Task, default_metric
from compressionjob.text_pairs import pair_problems
from compressionjob.torch_engines import ENGINE_MISFITS
from compressionjob.trust_fit import trust_problems

DEFAULT_RUNTIME: Final = "cpu"
DEFAULT_RETRIES: Final = 3


class Model(Schema):
    """The source model, which is the baseline."""

    model_config = with_rules(*MODEL_RULES)

    source: SourceText = Field(
        description="Folder of a Transformers model (safetensors), an ONNX file or folder, or a GGUF file. "
        "s3://BUCKET/KEY, pvc://CLAIM/PATH, file:///PATH below a volume of the runtime, or hf://ORG/NAME[@REVISION]."
    )
    task: Task = Field(
        description="Task of the model; text-regression predicts one number (rerankers, similarity), text-generation "
        "is a causal language model, onnx is any ONNX model with sample inputs."
    )
    format: Literal["auto", "transformers", "onnx", "gguf"] = Field(
        default="auto", description="Format of the source; auto detects it from the files."
    )
    storage: Storage | None = Field(default=None, description="Access to the source; spec.storage by default.")
    state: Annotated[list[StateTensor], Field(max_length=64)] = Field(
        default=[],
        description="State that a model of task onnx passes from step to step, such as the hidden state of an LSTM. "
        "Each sample is then a sequence of steps, and arrays of the data have the shape (samples, steps, ...). A query "
        "of the benchmark is one sequence.",
        json_schema_extra=added_with(STATE_RULES),
    )


class Benchmark(Schema):
    """Settings of the measurement of latency, throughput and memory."""

    model_config = with_rules(*BENCHMARK_RULES)

    threads: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="Threads of one inference; by default one for each CPU that the pod may use."
    )
    batch_size: Annotated[int, Field(ge=1, le=1024)] = Field(default=1, description="Samples in one query.")
    sequence_length: Annotated[int, Field(ge=1, le=32768)] = Field(
        default=128,
        description="Tokens of each benchmark input (text); evaluation truncates longer texts. For text-generation: "
        "tokens of a window of running text. A benchmarked decoding step has half of them in its cache.",
    )
    time_limit: Duration = Field(
        default="10m", description="Longest time of the benchmark. Limits that it has not decided are Inconclusive."
    )
    engine: Engine = Field(
        default="auto",
        description="Engine that the model is for. auto: onnxruntime, or OpenVINO for its models, on the CPU. torch, "
        "torch-compile: Transformers folders in PyTorch. Others with -cuda or -tensorrt: on the GPU of the runtime. "
        "vllm: vLLM also serves the model, and measures the limits on served requests (ttft to outputLength).",
        json_schema_extra=without_default,
    )
    serving: Serving | None = Field(default=None, description="Load on the serving engine. engine vllm needs it.")

    @model_validator(mode="after")
    def _serving_with_its_engine(self) -> "Benchmark":
        if (self.engine == "vllm") != (self.serving is not None):
            raise ValueError(TOGETHER_TEXT)
        return self


OutputFormat = Literal["auto", "onnx", "openvino", "torch-export"]


class Output(Schema):
    """Destination and format of the compressed model."""

    destination: LocationText = Field(
        description="Folder for the compressed model; it is written completely or not at all."
    )
    reports: LocationText | None = Field(
        default=None, description="Folder for report.json, report.html and report.md; <destination>-report by default."
    )
    checkpoints: LocationText | None = Field(
        default=None,
        description="Folder for checkpoints of stages, which later runs reuse; <destination>-checkpoints by default.",
    )
    format: OutputFormat = Field(
        default="auto",
        description="Format of the compressed model. auto: the format of the last stage, or an ONNX graph where other "
        "tools cannot load that format. onnx, openvino: convert the model before a final pack. torch-export: export "
        "the model as a program (model.pt2), where no stage needs a graph.",
    )
    overwrite: StrictBool = Field(
        default=False, description="Replace another model at the destination. Without it such a job is refused."
    )
    storage: Storage | None = Field(default=None, description="Access to the destination; spec.storage by default.")

    @property
    def reports_location(self) -> Location:
        """The folder for reports."""
        return parse_location(self.reports) if self.reports else parse_location(self.destination).sibling("-report")

    @property
    def checkpoints_location(self) -> Location:
        """The folder for checkpoints."""
        if self.checkpoints:
            return parse_location(self.checkpoints)
        return parse_location(self.destination).sibling("-checkpoints")


class CompressionJobSpec(Schema):
    """A model, a pipeline of stages, and the limits that the compressed model must meet."""

    model_config = with_rules(*SPEC_RULES)

    model: Model = Field(description="Model to compress.")
    storage: Storage | None = Field(default=None, description="Default access to sources and destination.")
    hub: Hub | None = Field(default=None, description="Access to the Hugging Face Hub, for hf:// sources.")
    data: Data = Field(description="Data for evaluation, training and calibration.")
    pipeline: Pipeline = Field(
        description="Stages, which run in this order.", json_schema_extra={"x-kubernetes-validations": PIPELINE_RULES}
    )
    sla: Sla = Field(default=Sla(), description="Limits that the compressed model must meet.")
    benchmark: Benchmark = Field(default=Benchmark(), description="Measurement of speed and memory.")
    output: Output = Field(description="Destination and format of the compressed model.")
    author: User | None = Field(
        default=None,
        description="User name of the author. The API server refuses any name but that of the user who creates the "
        "job. `kubectl compress submit` adds it.",
    )
    runtime: ObjectName = Field(
        default=DEFAULT_RUNTIME, description="Name of the CompressionRuntime: image and hardware."
    )
    review: ReviewPolicy = Field(
        default="Never",
        description="Always: a person decides about every model that would be published. OnInconclusive: only if the "
        "verdict is Inconclusive. The decision is a CompressionReview.",
    )
    review_timeout: Duration | None = Field(
        default=None, description="Time to wait for a review; unlimited by default."
    )
    on_review_timeout: Decision = Field(
        default="Reject", description="Decision when there is no review within reviewTimeout."
    )
    deadline: Duration | None = Field(
        default=None,
        description="Longest time from start to end, without pauses. When it is over, the job fails. It can be raised "
        "later.",
    )
    budget: Positive | None = Field(
        default=None,
        description="Largest cost of the job's pods, in the currency of the runtime's pricePerHour. The job fails "
        "before its cost exceeds it. It can be raised later.",
    )
    retries: Retries | None = Field(
        default=None,
        description="Number of retries after a temporary failure; preemption does not count. By default that of the "
        f"runtime, or else {DEFAULT_RETRIES}.",
    )
    max_interruptions: Interruptions | None = Field(
        default=None,
        description="Number of times that the job may lose its pod to preemption, eviction or its queue before it "
        "fails. By default that of the runtime, or else unlimited.",
    )
    suspend: StrictBool = Field(
        default=False, description="Stop the pod and hold the job. false resumes it where it stopped."
    )
    ttl: Duration | None = Field(
        default=None, description="Time to keep the job after it has ended; unlimited by default."
    )
    retention: Retention | None = Field(
        default=None, description="Lifetimes of checkpoints and reports after the job has ended."
    )
    notifications: ReceiverNames = Field(
        default=[], description="Receivers of notifications about the job, by the names in the operator's settings."
    )

    @property
    def quality_metric(self) -> QualityMetric | None:
        """The metric that the SLA names, None where the task's default applies."""
        return self.sla.quality.metric if self.sla.quality else None

    @property
    def labelled_metric(self) -> QualityMetric | None:
        """The metric that needs labels in the evaluation data, or else the metric that the SLA names."""
        named, labelled = self.quality_metric, TASKS[self.model.task].labelled
        if self.data.evaluation.columns.group is None or named in labelled:
            return named
        return (self.sla.fairness.metric if self.sla.fairness else None) or labelled[0]

    def storage_of(self, part: Model | EvaluationData | Output) -> Storage:
        """Return the storage settings of a source or the destination: its own, or the job's default."""
        return part.storage or self.storage or Storage()

    def sources(self) -> Iterator[tuple[str, str]]:
        """Yield every location that the job reads, with its field: models and data."""
        yield "spec.model.source", self.model.source
        for index, stage in enumerate(self.pipeline):
            for name, location in stage.parameters.models().items():
                yield f"spec.pipeline[{index}].{stage.method}.{name}", location
        for field, part in self.data.sources():
            yield field, part.source

    @model_validator(mode="after")
    def _order(self) -> "CompressionJobSpec":
        problems = [
            *order_problems(self.pipeline),
            *format_problems(self.pipeline, self.output.format, self.model.task),
            *data_problems(self.pipeline, self.data),
            *metric_problems(self.sla, self.model.task),
            *pair_problems(self.sla, self.model.task, self.data),
            *trust_problems(self.sla, self.model.task, self.data.evaluation.columns),
            *state_problems(self.model.state, self.model.task),
            *overlap_problems(self.model.source, self.output.destination),
            *review_problems(self.review, self.review_timeout),
            *fallback_problems(self.sla, self.pipeline),
            *task_problems(self.data.tasks, self.sla.recovery.tasks if self.sla.recovery else None, self.model.task),
            *serving_problems(self.sla, self.model.task, self.benchmark.serving, self.output.format),
            *(misfit_problems(self.to_json(), ENGINE_MISFITS) if self.benchmark.engine != "auto" else ()),
        ]
        if problems:
            raise InvalidSpec(problems)
        return self


class Metadata(TolerantSchema):
    """The part of an object's metadata that this project reads."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Name of the object.")
    namespace: str = "default"
    uid: str = ""
    labels: dict[str, str] = {}


class CompressionJob(TolerantSchema):
    """A CompressionJob manifest."""

    api_version: Literal["compression-operator.io/v1alpha1"] = API_VERSION
    kind: Literal["CompressionJob"] = JOB_KIND
    metadata: Metadata = Field(description="Name, namespace and labels.")
    spec: CompressionJobSpec = Field(description="Model, data, pipeline, limits and output.")


def parse_job(manifest: object) -> CompressionJob:
    """Read a CompressionJob.

    Raises InvalidSpec, which names every field that is wrong, its value and the remedy.
    """
    if not isinstance(manifest, dict):
        remedy = f"write a mapping with apiVersion: {API_VERSION} and kind: {JOB_KIND}"
        raise InvalidSpec([FieldProblem("manifest", "", f"it is {kind_of(manifest)}; {remedy}")])
    try:
        return CompressionJob.model_validate(manifest, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, model=CompressionJob)) from error


__all__ = [
    "AGREEMENT_METRICS", "Benchmark", "Columns", "CompressionJob", "CompressionJobSpec", "Data",
    "EvaluationData", "Metadata", "Model", "Output", "Task", "default_metric", "parse_job",
]  # fmt: skip
