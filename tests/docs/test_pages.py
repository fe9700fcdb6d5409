"""`make test-docs`: run the commands of the README and the docs in a terminal, on the local cluster."""

import re
import sys
import time
from functools import partial
from typing import Any, Final

import pytest
import yaml

from localcluster.paths import REPOSITORY
from tests.docs.printed import missing
from tests.docs.reader import ReaderEnvironment
from tests.docs.scenes import NOT_HERE, SCENES, Scene, played, runs_here
from tests.docs.terminal import Terminal, Typed
from tests.support.console_blocks import Command, File, commands

PAGES: Final = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
SECONDS: Final = 1500.0
SEARCH: Final = re.compile(r"\| grep ")


@pytest.mark.parametrize(("page", "text"), NOT_HERE, ids=lambda value: value)
def test_commands_that_cannot_run_here_are_still_on_their_page(page: str, text: str) -> None:
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
def test_the_commands_work_as_printed(scene: Scene, reader: ReaderEnvironment) -> None:
    reader.tidy()
    scene.prepare(reader)
    environment = reader.environment(scene.user, scene.namespace, scene.server)
    if scene.plugin:
        environment["PATH"] = f"{REPOSITORY / '.venv' / 'bin'}:{environment['PATH']}"
    problems: list[str] = []
    with Terminal(reader.folder, reader.scratch, environment) as terminal:
        for step in played(scene):
            if isinstance(step, File):
                save(step, reader)
            elif runs_here(step):
                problems += differences(step, type_command(step, scene, terminal))
                follow(step, scene, reader)
    assert not problems, "\n\n".join(problems)


def save(file: File, reader: ReaderEnvironment) -> None:
    """Save a block under its name. Merge a later values.yaml into the existing one."""
    path = reader.folder / file.name
    if file.name == "values.yaml" and path.exists():
        values = merged(yaml.safe_load(path.read_text()), yaml.safe_load(file.content))
        path.write_text(yaml.safe_dump(values))
    else:
        path.write_text(file.content)


def merged(old: Any, new: Any) -> Any:
    """Return the merged mappings; of other values return the newer one."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: merged(old[key], value) if key in old else value for key, value in new.items()}


def type_command(command: Command, scene: Scene, terminal: Terminal) -> Typed:
    """Run a command with the reader's own names."""
    text = command.text
    for printed, own in scene.typed.items():
        text = text.replace(printed, own)
    begin = time.monotonic()
    typed = wait_for_end(command, text, terminal)
    # `pytest -s` shows the output and the duration.
    sys.stdout.write(f"{time.monotonic() - begin:7.1f} s  {command}  {text}\n{typed.shown}")
    return typed


def wait_for_end(command: Command, text: str, terminal: Terminal) -> Typed:
    """Wait until a command ends. Interrupt a watching command when its output is complete."""
    watches = re.search(r"\bget \S+ -w\b", text)
    if not watches:
        return terminal.type(text, SECONDS)
    ends = [line for line in command.output if line.strip()]
    return terminal.type(text, SECONDS, partial(has_come, (ends[0], ends[-1])))


def has_come(printed: tuple[str, ...], shown: str) -> bool:
    """Return whether the output has lines like these."""
    return not missing(printed, shown)


def follow(command: Command, scene: Scene, reader: ReaderEnvironment) -> None:
    """Do the reader's part after this command."""
    for beginning, act in scene.after.items():
        if command.text.startswith(beginning):
            act(reader)


def differences(command: Command, typed: Typed) -> list[str]:
    """Return the differences between exit status and output and those on the page."""
    printed = [line for line in command.output if line.strip()]
    deviations = [] if ends_as_printed(command, printed, typed) else ["the exit status differs from the page"]
    deviations += [f"not shown: {line}" for line in missing(printed, typed.shown)]
    says = f"{command}: `{command.text}` ended with {typed.status}:\n{typed.shown}"
    return ["\n".join((says, *deviations))] if deviations else []


def ends_as_printed(command: Command, printed: list[str], typed: Typed) -> bool:
    """Return whether the exit status is the one that the page implies."""
    if any(line.startswith("error: ") for line in printed) or "must say no" in command.text:
        return typed.status != 0
    if command.text.startswith("compression-runner run"):
        # Another verdict than Pass is allowed too, since limits may be undecided on a busy machine.
        return typed.status in (0, 3)
    # A grep without a match is allowed.
    return typed.status == 0 or (typed.status == 1 and bool(SEARCH.search(command.text)) and not typed.shown)
