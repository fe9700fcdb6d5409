"""The locations that a run reads and writes: in a pod those of the spec, in a local trial one directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from compression_runner.pipeline.checkpoint_users import FOLDER, CheckpointUsers
from compression_runner.pipeline.names import OUTPUT
from compression_runner.storage import Readable, Store, Stores
from compression_runner.storage.directory import DirectoryStore
from compressionjob.data import ROLES, DataRole
from compressionjob.field_types import parse_duration
from compressionjob.locations import Location, parse_location
from compressionjob.pod_interface import LIFETIME_VARIABLE, Role
from compressionjob.spec import CompressionJobSpec


@dataclass(frozen=True)
class RunLocations:
    """The work directory and the stores of a run.

    `overwrite` allows the run to replace another artifact at the destination. `remote` opens the store of a checkpoint
    by fingerprint; None if the work directory suffices. `users` registers the jobs that need a checkpoint. `models` are
    models that stages read besides `model`, by location. `tasks` are the files of spec.data.tasks, in order.
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
    tasks: tuple[Readable, ...] = ()

    @property
    def scratch(self) -> Path:
        """Folder for files that only this run needs: fetched, temporary and unpacked files."""
        return self.workdir / "scratch"


@dataclass(frozen=True)
class OutputLocations:
    """The locations that a job writes. `checkpoint` opens the store of a checkpoint by the name of its folder."""

    destination: Store
    reports: Store
    checkpoint: Callable[[str], Store]
    users: CheckpointUsers


def outputs_of(spec: CompressionJobSpec, stores: Stores) -> OutputLocations:
    """Return the output locations of the spec."""
    storage, folder = spec.storage_of(spec.output), spec.output.checkpoints_location

    def checkpoint(name: str) -> Store:
        # Jobs share checkpoints on purpose: the same fingerprint stands for the same content.
        return stores.open(folder.child(name), storage, Role.OUTPUT, "spec.output.checkpoints", shared=True)

    def own(location: Location, field: str) -> Store:
        return stores.open(location, storage, Role.OUTPUT, field)

    return OutputLocations(
        destination=own(parse_location(spec.output.destination), "spec.output.destination"),
        reports=own(spec.output.reports_location, "spec.output.reports"),
        checkpoint=checkpoint,
        users=CheckpointUsers(checkpoint(FOLDER), stores.job, _lifetime(stores.environment)),
    )


def _lifetime(environment: Mapping[str, str]) -> float | None:
    """Return the seconds that checkpoints are kept after the end of the job, as the operator says; None for ever."""
    try:
        return parse_duration(environment.get(LIFETIME_VARIABLE, ""))
    except ValueError:
        return None


def of_spec(spec: CompressionJobSpec, stores: Stores, workdir: Path) -> RunLocations:
    """Return the locations of the spec."""
    outputs = outputs_of(spec, stores)
    return RunLocations(
        workdir=workdir,
        model=_model(spec, stores),
        models=_models(spec, stores),
        data=_data(spec, stores),
        destination=outputs.destination,
        reports=outputs.reports,
        remote=outputs.checkpoint,
        overwrite=spec.output.overwrite,
        users=outputs.users,
        tasks=_tasks(spec, stores),
    )


def of_trial(spec: CompressionJobSpec, stores: Stores, workdir: Path) -> RunLocations:
    """Return the locations of a trial: the spec's sources, and all outputs below `workdir` (output/, report.*, ...).

    The next trial in the same directory removes the output when it begins.
    """
    output = workdir / OUTPUT
    return RunLocations(
        workdir=workdir,
        model=_model(spec, stores),
        models=_models(spec, stores),
        data=_data(spec, stores),
        destination=DirectoryStore(str(output), output, "--workdir"),
        reports=DirectoryStore(str(workdir), workdir, "--workdir"),
        remote=None,
        overwrite=True,
        tasks=_tasks(spec, stores),
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
    """Return a store for each role with data; training data may have two roles."""
    stores_by_role: dict[DataRole, Readable] = {}
    for role in ROLES:
        part = spec.data.source_for(role)
        if part is not None:
            field = f"spec.data.{spec.data.field_of(role)}.source"
            storage = spec.storage_of(spec.data.evaluation)
            stores_by_role[role] = stores.open_source(parse_location(part.source), storage, spec.hub, Role.DATA, field)
    return stores_by_role


def _tasks(spec: CompressionJobSpec, stores: Stores) -> tuple[Readable, ...]:
    """Return a store for each task."""
    storage = spec.storage_of(spec.data.evaluation)
    return tuple(
        stores.open_source(
            parse_location(task.source), storage, spec.hub, Role.DATA, f"spec.data.tasks[{index}].source"
        )
        for index, task in enumerate(spec.data.tasks)
    )
