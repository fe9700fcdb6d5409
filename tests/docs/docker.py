"""`docker build` and `docker push` for a machine without Docker: buildah, and the image store of the cluster.

Pushing an image makes it available to the nodes, like a registry. In a test session an image is built and pushed once
for each name. The folder BUILT records that.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from localcluster import images

USAGE = "usage: docker build -f images/NAME.Dockerfile -t REFERENCE . | docker push REFERENCE"


def main(arguments: list[str]) -> int:
    """Run one command. Images have the names of their Dockerfiles."""
    match arguments:
        case ["build", "-f", dockerfile, "-t", reference, "."]:
            name = Path(dockerfile).stem
            once(name, lambda: images.build((name,)))
            images.tag_as(name, reference)
        case ["push", reference]:
            once(f"pushed-{reference.replace('/', '_')}", lambda: images.push(reference))
        case _:
            sys.stderr.write(f"{USAGE}\n")
            return 1
    return 0


def once(name: str, act: Callable[[], None]) -> None:
    """Call `act` unless a process of this session has done it."""
    done = Path(os.environ["BUILT"]) / name
    if not done.exists():
        act()
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
