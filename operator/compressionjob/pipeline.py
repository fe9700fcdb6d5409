"""The stages of a job, and the check of their order."""

from typing import Annotated, Final

from pydantic import Field, model_validator

from compressionjob.errors import FieldProblem
from compressionjob.field_types import Label, cel, with_rules
from compressionjob.methods.parameters import Parameters
from compressionjob.methods.promise import Promise, combine
from compressionjob.methods.registry import METHODS, MethodChoice

MAX_STAGES: Final = 16

_ONE_METHOD_TEXT: Final = f"name exactly one method in each stage: {', '.join(METHODS)}"
_ONE_METHOD_RULE: Final = "[" + ", ".join(f"has(self.{name})" for name in METHODS) + "].filter(x, x).size() == 1"


class Stage(MethodChoice):
    """One step of the pipeline: exactly one method with its parameters."""

    model_config = with_rules(cel(_ONE_METHOD_RULE, _ONE_METHOD_TEXT))

    name: Label | None = Field(
        default=None, description="Name of the stage in status and report; the method's name by default."
    )

    @model_validator(mode="after")
    def _one_method(self) -> "Stage":
        if sum(getattr(self, name) is not None for name in METHODS) != 1:
            raise ValueError(_ONE_METHOD_TEXT)
        return self

    @property
    def method(self) -> str:
        """The name of the method, such as prune."""
        return next(name for name in METHODS if getattr(self, name) is not None)

    @property
    def given(self) -> Parameters:
        """The parameters as in the manifest, which for a family is the flat form."""
        parameters: Parameters = getattr(self, self.method)
        return parameters

    @property
    def parameters(self) -> Parameters:
        """The parameters of the stage's method, which for a family is the selected variant."""
        return self.given.chosen()

    @property
    def key(self) -> tuple[str, str]:
        """The family and its method; the method is empty for a family of one."""
        return self.method, self.parameters.variant

    @property
    def title(self) -> str:
        """The name of the stage in status and report."""
        return self.name or self.method


Pipeline = Annotated[list[Stage], Field(min_length=1, max_length=MAX_STAGES)]


_AFTER_QUANTIZE: Final = {"prune": "zeros must be chosen before the weights are quantized"}
_NEEDS_FLOATS: Final = "it needs floating-point weights, and a quantized model has none"


def order_problems(stages: list[Stage]) -> list[FieldProblem]:
    """Return the stages in an order that cannot work for any model."""
    problems: list[FieldProblem] = []
    seen: dict[str, int] = {}
    titles: set[str] = set()
    for index, stage in enumerate(stages):
        field = f"spec.pipeline[{index}]"
        remedy = _order_remedy(stage, seen)
        if remedy:
            problems.append(FieldProblem(f"{field}.{stage.method}", stage.method, remedy))
        if stage.name and stage.name in titles:
            problems.append(FieldProblem(f"{field}.name", stage.name, "stage names must differ; choose another"))
        titles.add(stage.title)
        seen.setdefault(stage.method, index)
    return problems


def _order_remedy(stage: Stage, seen: dict[str, int]) -> str:
    if "pack" in seen:
        return "nothing can follow pack, which closes the files; make pack the last stage"
    if "quantize" not in seen or stage.method == "pack":
        return ""
    if stage.method == "quantize":
        return "the weights are already quantized by an earlier stage; keep one quantize stage"
    return f"{_AFTER_QUANTIZE.get(stage.method, _NEEDS_FLOATS)}; move {stage.method} before quantize"


def promise_of(stages: list[Stage]) -> Promise:
    """Return the promise of the whole pipeline. Packing loses nothing, so it does not count beside other stages."""
    lossy = [stage.parameters.promise() for stage in stages if stage.method != "pack"]
    return combine(lossy or [stage.parameters.promise() for stage in stages])
