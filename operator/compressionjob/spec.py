"""CompressionJob: what an ML engineer writes."""

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
from compressionjob.errors import FieldProblem, InvalidSpec, kind_of, problems_of
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.locations import Hub, Location, LocationText, SourceText, Storage, parse_location
from compressionjob.notifications import ReceiverNames
from compressionjob.objectives import AGREEMENT_METRICS, QualityMetric, Sla
from compressionjob.pipeline import Pipeline, order_problems
from compressionjob.retention import Retention
from compressionjob.review import Decision, ReviewPolicy, User
from compressionjob.rules import PIPELINE_RULES, SPEC_RULES
from compressionjob.runtime_limits import Interruptions, Retries
from compressionjob.schema import Duration, ObjectName, Observed, Positive, Schema, with_rules
from compressionjob.tasks import TASKS, Task, default_metric
from compressionjob.text_pairs import pair_problems
from compressionjob.trust_fit import trust_problems

DEFAULT_RUNTIME: Final = "cpu"
DEFAULT_RETRIES: Final = 3


class Model(Schema):
    """The model that is compressed: the baseline."""

    source: SourceText = Field(
        description="Folder of a Transformers model (safetensors), an ONNX file or folder, or a GGUF file. "
        "s3://BUCKET/KEY, pvc://CLAIM/PATH, file:///PATH below a volume of the runtime, or hf://ORG/NAME[@REVISION]."
    )
    task: Task = Field(
        description="What the model does; text-regression predicts one number (rerankers, similarity), text-generation "
        "is a causal language model, onnx any ONNX model with sample inputs."
    )
    format: Literal["auto", "transformers", "onnx", "gguf"] = Field(
        default="auto", description="Format of the source; auto looks at its files."
    )
    storage: Storage | None = Field(default=None, description="How to reach the source; spec.storage by default.")


class Benchmark(Schema):
    """How latency, throughput and memory are measured."""

    threads: Annotated[int, Field(ge=1, le=256)] | None = Field(
        default=None, description="Threads of one inference; by default the CPUs that the pod may use."
    )
    batch_size: Annotated[int, Field(ge=1, le=1024)] = Field(default=1, description="Samples in one query.")
    sequence_length: Annotated[int, Field(ge=1, le=32768)] = Field(
        default=128,
        description="Tokens of each benchmark input (text); evaluation cuts longer texts here. For text-generation the "
        "tokens of a window of running text, and twice those that are remembered in a benchmarked step of decoding.",
    )
    time_limit: Duration = Field(
        default="10m", description="The benchmark ends here; what it could not decide is Inconclusive."
    )


OutputFormat = Literal["auto", "onnx", "openvino", "torch-export"]


class Output(Schema):
    """Where the result goes."""

    destination: LocationText = Field(description="Folder for the compressed model; complete or absent.")
    reports: LocationText | None = Field(
        default=None, description="Folder for report.json, report.html and report.md; <destination>-report by default."
    )
    checkpoints: LocationText | None = Field(
        default=None,
        description="Folder for results of stages, reused by later runs; <destination>-checkpoints by default.",
    )
    format: OutputFormat = Field(
        default="auto",
        description="Format of the result: auto keeps what the last stage gives (an ONNX graph where that is none that "
        "others load), onnx and openvino convert it before a final pack, and torch-export makes a program of it "
        "(model.pt2), where no stage needs a graph.",
    )
    overwrite: StrictBool = Field(
        default=False, description="Replace a different model at the destination instead of refusing before the run."
    )
    storage: Storage | None = Field(default=None, description="How to reach the destination; spec.storage by default.")

    @property
    def reports_location(self) -> Location:
        """Where the reports go."""
        return parse_location(self.reports) if self.reports else parse_location(self.destination).sibling("-report")

    @property
    def checkpoints_location(self) -> Location:
        """Where the checkpoints go."""
        if self.checkpoints:
            return parse_location(self.checkpoints)
        return parse_location(self.destination).sibling("-checkpoints")


class CompressionJobSpec(Schema):
    """A model, a pipeline of stages, and the limits that the result must keep."""

    model_config = with_rules(*SPEC_RULES)

    model: Model = Field(description="The model to compress.")
    storage: Storage | None = Field(default=None, description="Default for sources and destination without their own.")
    hub: Hub | None = Field(default=None, description="How to reach the Hugging Face Hub, for hf:// sources.")
    data: Data = Field(description="The data to measure with.")
    pipeline: Pipeline = Field(
        description="The stages, run in this order.", json_schema_extra={"x-kubernetes-validations": PIPELINE_RULES}
    )
    sla: Sla = Field(default=Sla(), description="The limits that the result must keep.")
    benchmark: Benchmark = Field(default=Benchmark(), description="How speed and memory are measured.")
    output: Output = Field(description="Where the result goes.")
    author: User | None = Field(
        default=None,
        description="User name of the author; the API server refuses any other than the one who creates the job. "
        "`kubectl compress submit` adds it.",
    )
    runtime: ObjectName = Field(
        default=DEFAULT_RUNTIME, description="Name of the CompressionRuntime: image and hardware."
    )
    review: ReviewPolicy = Field(
        default="Never",
        description="Always: a person decides about whatever would be published. OnInconclusive: about a verdict that "
        "is open. A CompressionReview is the decision.",
    )
    review_timeout: Duration | None = Field(
        default=None, description="How long a result waits for its review; for ever by default."
    )
    on_review_timeout: Decision = Field(
        default="Reject", description="What is decided when nobody has decided within reviewTimeout."
    )
    deadline: Duration | None = Field(
        default=None,
        description="Longest time from start to end, pauses not counted; then the job fails. It can be raised.",
    )
    budget: Positive | None = Field(
        default=None,
        description="Most that the job's pods may cost, in the currency of the runtime's pricePerHour; the job fails "
        "before it would cost more. It can be raised.",
    )
    retries: Retries | None = Field(
        default=None,
        description="How often a failure that may pass is tried again; preemption does not count. Without it the "
        f"runtime's default holds, or else {DEFAULT_RETRIES}.",
    )
    max_interruptions: Interruptions | None = Field(
        default=None,
        description="How often the job may lose its pod to preemption, eviction or its queue before it fails; by "
        "default as often as the runtime allows, or without end.",
    )
    suspend: StrictBool = Field(
        default=False, description="Stop the pod and hold the job; false goes on where it stopped."
    )
    ttl: Duration | None = Field(
        default=None, description="How long the job is kept once it has ended; for ever by default."
    )
    retention: Retention | None = Field(
        default=None, description="How long checkpoints and reports are kept once the job has ended."
    )
    notifications: ReceiverNames = Field(
        default=[], description="Receivers to tell of the job, by the names that the platform team gave them."
    )

    @property
    def quality_metric(self) -> QualityMetric | None:
        """The metric that the SLA names, or None when the task's default applies."""
        return self.sla.quality.metric if self.sla.quality else None

    @property
    def labelled_metric(self) -> QualityMetric | None:
        """What the evaluation data must have answers for, or else the metric that the SLA names."""
        named, labelled = self.quality_metric, TASKS[self.model.task].labelled
        if self.data.evaluation.columns.group is None or named in labelled:
            return named
        return (self.sla.fairness.metric if self.sla.fairness else None) or labelled[0]

    def storage_of(self, part: Model | EvaluationData | Output) -> Storage:
        """The storage of a source or the destination: its own, or the job's default."""
        return part.storage or self.storage or Storage()

    def sources(self) -> Iterator[tuple[str, str]]:
        """Every location that is read, with its field: models and data."""
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
            *overlap_problems(self.model.source, self.output.destination),
            *review_problems(self.review, self.review_timeout),
            *fallback_problems(self.sla, self.pipeline),
        ]
        if problems:
            raise InvalidSpec(problems)
        return self


class Metadata(Observed):
    """The part of an object's metadata that this project reads."""

    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Name of the object.")
    namespace: str = "default"
    uid: str = ""
    labels: dict[str, str] = {}


class CompressionJob(Observed):
    """A CompressionJob manifest."""

    api_version: Literal["compression-operator.io/v1alpha1"] = API_VERSION
    kind: Literal["CompressionJob"] = JOB_KIND
    metadata: Metadata = Field(description="Name, namespace and labels.")
    spec: CompressionJobSpec = Field(description="What to compress, how, and the limits to keep.")


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
