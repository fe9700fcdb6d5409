"""`docker build` and `docker push` for a machine without Docker: buildah, and the cluster's own store of images.

To push makes an image one that the nodes can pull, as a registry does. In a session of tests an image is built once and
pushed once under a name: the folder BUILT remembers which.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from localcluster import images

USAGE = "usage: docker build -f images/NAME.Dockerfile -t REFERENCE . | docker push REFERENCE"


def main(arguments: list[str]) -> int:
    """Run one command; the images are named by their Dockerfiles."""
    match arguments:
        case ["build", "-f", recipe, "-t", reference, "."]:
            name = Path(recipe).stem
            once(name, lambda: images.build((name,)))
            images.tag_as(name, reference)
        case ["push", reference]:
            once(f"pushed-{reference.replace('/', '_')}", lambda: images.push(reference))
        case _:
            sys.stderr.write(f"{USAGE}\n")
            return 1
    return 0


def once(name: str, act: Callable[[], None]) -> None:
    """Do what no process of this session has done."""
    done = Path(os.environ["BUILT"]) / name
    if not done.exists():
        act()
        done.parent.mkdir(parents=True, exist_ok=True)
        done.touch()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
