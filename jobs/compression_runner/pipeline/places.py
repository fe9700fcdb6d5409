"""Where a run works and leaves what it makes: in a pod by the spec, in a local trial below one directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compression_runner.pipeline.names import OUTPUT
from compression_runner.storage import Readable, Store, Stores
from compression_runner.storage.directory import DirectoryStore
from compressionjob.data import ROLES, DataRole
from compressionjob.locations import parse_location
from compressionjob.pod import Role
from compressionjob.spec import CompressionJobSpec


@dataclass(frozen=True)
class Places:
    """The work directory and the stores of a run.

    `overwrite` allows to replace another artifact at the destination. `remote` is the store of one fingerprint's
    checkpoint, None where the work directory's own are enough. `models` has what stages read beside `model`, by its
    location.
    """

    workdir: Path
    model: Readable
    models: Mapping[str, Readable]
    data: Mapping[DataRole, Readable]
    destination: Store
    reports: Store
    remote: Callable[[str], Store] | None
    overwrite: bool

    @property
    def scratch(self) -> Path:
        """What only this run needs: fetched files, temporary files, what was unpacked."""
        return self.workdir / "scratch"


def of_spec(spec: CompressionJobSpec, stores: Stores, workdir: Path) -> Places:
    """The places that the spec names."""
    output = spec.storage_of(spec.output)

    def checkpoint(fingerprint: str) -> Store:
        location = spec.output.checkpoints_location.child(fingerprint)
        # Jobs share checkpoints on purpose: the same fingerprint stands for the same content.
        return stores.open(location, output, Role.OUTPUT, "spec.output.checkpoints", shared=True)

    return Places(
        workdir=workdir,
        model=_model(spec, stores),
        models=_models(spec, stores),
        data=_data(spec, stores),
        destination=stores.open(
            parse_location(spec.output.destination), output, Role.OUTPUT, "spec.output.destination"
        ),
        reports=stores.open(spec.output.reports_location, output, Role.OUTPUT, "spec.output.reports"),
        remote=checkpoint,
        overwrite=spec.output.overwrite,
    )


def of_trial(spec: CompressionJobSpec, stores: Stores, workdir: Path) -> Places:
    """Sources as the spec names them; everything that is made lies below `workdir`: output/, report.*, checkpoints/.

    The output is the trial's own: the next trial in the same directory takes it away when it begins.
    """
    output = workdir / OUTPUT
    return Places(
        workdir=workdir,
        model=_model(spec, stores),
        models=_models(spec, stores),
        data=_data(spec, stores),
        destination=DirectoryStore(str(output), output, "--workdir"),
        reports=DirectoryStore(str(workdir), workdir, "--workdir"),
        remote=None,
        overwrite=True,
    )


def _model(spec: CompressionJobSpec, stores: Stores) -> Readable:
    location = parse_location(spec.model.source)
    return stores.open_source(location, spec.storage_of(spec.model), spec.hub, Role.MODEL, "spec.model.source")


def _models(spec: CompressionJobSpec, stores: Stores) -> dict[str, Readable]:
    return {
        location: stores.open_source(
            parse_location(location),
            spec.storage_of(spec.model),
            spec.hub,
            Role.MODEL,
            f"spec.pipeline[{index}].{stage.method}.{name}",
        )
        for index, stage in enumerate(spec.pipeline)
        for name, location in stage.parameters.models().items()
    }


def _data(spec: CompressionJobSpec, stores: Stores) -> dict[DataRole, Readable]:
    """A store for each role that some data plays; training data may play two."""
    found: dict[DataRole, Readable] = {}
    for role in ROLES:
        part = spec.data.learned(role)
        if part is not None:
            field = f"spec.data.{spec.data.field_of(role)}.source"
            storage = spec.storage_of(spec.data.evaluation)
            found[role] = stores.open_source(parse_location(part.source), storage, spec.hub, Role.DATA, field)
    return found
