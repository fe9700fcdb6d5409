"""Where a run works and leaves what it makes: in a pod by the spec, in a local trial below one directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compression_runner.pipeline.checkpoint_users import FOLDER, CheckpointUsers
from compression_runner.pipeline.names import OUTPUT
from compression_runner.storage import Readable, Store, Stores
from compression_runner.storage.directory import DirectoryStore
from compressionjob.data import ROLES, DataRole
from compressionjob.locations import Location, parse_location
from compressionjob.pod import Role
from compressionjob.spec import CompressionJobSpec


@dataclass(frozen=True)
class Places:
    """The work directory and the stores of a run.

    `overwrite` allows to replace another artifact at the destination. `remote` is the store of one fingerprint's
    checkpoint, None where the work directory's own are enough, and `users` registers who needs it. `models` has what
    stages read beside `model`, by its location.
    """

    workdir: Path
    model: Readable
    models: Mapping[str, Readable]
    data: Mapping[DataRole, Readable]
    destination: Store
    reports: Store
    remote: Callable[[str], Store] | None
    overwrite: bool
    users: CheckpointUsers | None = None

    @property
    def scratch(self) -> Path:
        """What only this run needs: fetched files, temporary files, what was unpacked."""
        return self.workdir / "scratch"


@dataclass(frozen=True)
class OutputPlaces:
    """Where a job writes. `checkpoint` opens the place of one checkpoint by the name of its folder."""

    destination: Store
    reports: Store
    checkpoint: Callable[[str], Store]
    users: CheckpointUsers


def outputs_of(spec: CompressionJobSpec, stores: Stores) -> OutputPlaces:
    """The places that the spec names for what a job writes."""
    storage, folder = spec.storage_of(spec.output), spec.output.checkpoints_location

    def checkpoint(name: str) -> Store:
        # Jobs share checkpoints on purpose: the same fingerprint stands for the same content.
        return stores.open(folder.child(name), storage, Role.OUTPUT, "spec.output.checkpoints", shared=True)

    def own(location: Location, field: str) -> Store:
        return stores.open(location, storage, Role.OUTPUT, field)

    return OutputPlaces(
        destination=own(parse_location(spec.output.destination), "spec.output.destination"),
        reports=own(spec.output.reports_location, "spec.output.reports"),
        checkpoint=checkpoint,
        users=CheckpointUsers(checkpoint(FOLDER), stores.job),
    )


def of_spec(spec: CompressionJobSpec, stores: Stores, workdir: Path) -> Places:
    """The places that the spec names."""
    outputs = outputs_of(spec, stores)
    return Places(
        workdir=workdir,
        model=_model(spec, stores),
        models=_models(spec, stores),
        data=_data(spec, stores),
        destination=outputs.destination,
        reports=outputs.reports,
        remote=outputs.checkpoint,
        overwrite=spec.output.overwrite,
        users=outputs.users,
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
