"""`make test-docs`: the commands of the README and the docs, typed as printed at a terminal, on the local cluster."""

import re
import sys
import time
from functools import partial
from typing import Any, Final

import pytest
import yaml

from localcluster.paths import REPOSITORY
from tests.docs.printed import missing
from tests.docs.scenes import NOT_HERE, SCENES, Scene, played, runs_here
from tests.docs.stage import Stage
from tests.docs.terminal import Terminal, Typed
from tests.support.console_blocks import Command, File, commands

PAGES: Final = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SECONDS: Final = 1500.0
SEARCH: Final = re.compile(r"\| grep ")


@pytest.mark.parametrize(("page", "text"), NOT_HERE, ids=lambda value: value)
def test_what_cannot_run_here_is_still_in_its_page(page: str, text: str) -> None:
    assert [command for command in commands(REPOSITORY / page) if command.text.startswith(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_command_of_a_page_is_in_one_scene_or_cannot_run_here(page: Any) -> None:
    name = str(page.relative_to(REPOSITORY))
    scenes = [played(scene) for scene in SCENES if scene.page == name]
    for command in commands(page):
        count = sum(command in steps for steps in scenes)
        assert count == 1 or (count == 0 and not runs_here(command)), f"{command} is in {count} scenes"


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_the_commands_work_as_printed(scene: Scene, stage: Stage) -> None:
    stage.tidy()
    scene.prepare(stage)
    environment = stage.environment(scene.user, scene.namespace, scene.server)
    if scene.plugin:
        environment["PATH"] = f"{REPOSITORY / '.venv' / 'bin'}:{environment['PATH']}"
    problems: list[str] = []
    with Terminal(stage.folder, stage.scratch, environment) as terminal:
        for step in played(scene):
            if isinstance(step, File):
                save(step, stage)
            elif runs_here(step):
                problems += differences(step, type_command(step, scene, terminal))
                follow(step, scene, stage)
    assert not problems, "\n\n".join(problems)


def save(file: File, stage: Stage) -> None:
    """Save a block under its name; later lines of a values file are added to those that are there."""
    place = stage.folder / file.name
    if file.name == "values.yaml" and place.exists():
        values = merged(yaml.safe_load(place.read_text()), yaml.safe_load(file.content))
        place.write_text(yaml.safe_dump(values))
    else:
        place.write_text(file.content)


def merged(old: Any, new: Any) -> Any:
    """Return mappings with each other's keys, and the newer of two other values."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: merged(old[key], value) if key in old else value for key, value in new.items()}


def type_command(command: Command, scene: Scene, terminal: Terminal) -> Typed:
    """Type a command with the reader's own names."""
    text = command.text
    for printed, typed in scene.typed.items():
        text = text.replace(printed, typed)
    begin = time.monotonic()
    typed = wait_for_end(command, text, terminal)
    # `pytest -s` shows all that a reader sees, and how long it takes.
    sys.stdout.write(f"{time.monotonic() - begin:7.1f} s  {command}  {text}\n{typed.shown}")
    return typed


def wait_for_end(command: Command, text: str, terminal: Terminal) -> Typed:
    """Wait until a command ends by itself; end what watches once all that is printed has come."""
    watches = re.search(r"\bget \S+ -w\b", text)
    if not watches:
        return terminal.type(text, SECONDS)
    ends = [line for line in command.output if line.strip()]
    return terminal.type(text, SECONDS, partial(has_come, (ends[0], ends[-1])))


def has_come(printed: tuple[str, ...], shown: str) -> bool:
    """Whether lines like these are among what is shown."""
    return not missing(printed, shown)


def follow(command: Command, scene: Scene, stage: Stage) -> None:
    """Do what the page leaves to its reader after this command."""
    for beginning, act in scene.after.items():
        if command.text.startswith(beginning):
            act(stage)


def differences(command: Command, typed: Typed) -> list[str]:
    """Return how exit status and output differ from what the page says."""
    printed = [line for line in command.output if line.strip()]
    found = [] if ends_as_printed(command, printed, typed) else ["the page lets it end otherwise"]
    found += [f"not shown: {line}" for line in missing(printed, typed.shown)]
    says = f"{command}: `{command.text}` ended with {typed.status}:\n{typed.shown}"
    return ["\n".join((says, *found))] if found else []


def ends_as_printed(command: Command, printed: list[str], typed: Typed) -> bool:
    """Whether the exit status is one that the page lets expect."""
    if any(line.startswith("error: ") for line in printed) or "must say no" in command.text:
        return typed.status != 0
    if command.text.startswith("compression-runner run"):
        # A verdict other than Pass is an end, too: a busy machine leaves limits open.
        return typed.status in (0, 3)
    # grep that has no match to show has done its work.
    return typed.status == 0 or (typed.status == 1 and bool(SEARCH.search(command.text)) and not typed.shown)
