"""Whether the evaluation data is such that trust can be measured on it: looked at before any stage runs."""

from compression_runner.dataset import SampleSet
from compression_runner.dataset.texts import Texts
from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS


def require_data(spec: CompressionJobSpec, data: SampleSet) -> None:
    """Raise InvalidInput where inputs should be disturbed or explained that cannot be."""
    for name, limit in (("robustness", spec.sla.robustness), ("attributions", spec.sla.attributions)):
        if limit is None:
            continue
        if TASKS[spec.model.task].content == "text":
            texts_of(data, name)
        else:
            only_input(data, name)


def texts_of(data: SampleSet, name: str = "robustness") -> Texts:
    """Return the texts of a sample set; `name` is the limit below spec.sla that needs them."""
    if data.texts is not None:
        return data.texts
    problem = "the words of a text are changed, and the data holds tokens"
    remedy = "give a table with the texts themselves, or remove the limit"
    raise InvalidInput(INVALID_INPUT, f"spec.sla.{name}", ", ".join(data.samples[0]), problem, remedy)


def only_input(data: SampleSet, name: str = "robustness") -> str:
    """Return the name of a model's one input of numbers."""
    first = data.samples[0]
    if len(first) == 1:
        ((found, array),) = first.items()
        if array.dtype.kind in "uif":
            return found
    problem = f"the model's inputs are {', '.join(f'{key} ({array.dtype})' for key, array in first.items())}"
    remedy = "it is measured on models with one input of numbers; remove the limit"
    raise InvalidInput(INVALID_INPUT, f"spec.sla.{name}", ", ".join(first), problem, remedy)
