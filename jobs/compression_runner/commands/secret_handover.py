"""Keep keys and tokens out of the environment of the pod's process.

Settings of a model may name files that a library opens, and `/proc/self/environ` shows the environment with which the
process started. So the process starts itself again without its secrets, and gets them through a file in memory.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Final

SECRET_NAMES: Final = re.compile(r"SECRET|TOKEN|PASS|CREDENTIAL|ACCESS_KEY|API_KEY", re.IGNORECASE)
"""Names of environment variables with secrets."""
DESCRIPTOR: Final = "COMPRESSION_SECRETS_DESCRIPTOR"
"""Variable with the number of the open file that holds the secrets, as JSON."""


def environment_of_pod() -> Mapping[str, str]:
    """Return the environment with its secrets; start this process again first if /proc/self/environ has them.

    `os.environ` then has only the secrets that libraries read there, such as those of a cloud identity.
    """
    descriptor = os.environ.pop(DESCRIPTOR, None)
    if descriptor is None:
        exposed = {name: value for name, value in os.environ.items() if SECRET_NAMES.search(name)}
        if exposed:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], hand_over(exposed))
        return dict(os.environ)
    from compressionjob.pod_interface import HUB_TOKEN_VARIABLE, Role  # not in the process that only starts this one

    with os.fdopen(int(descriptor), "rb") as file:
        secrets: dict[str, str] = json.load(file)
    # Only this project reads the secrets of the job.
    of_job = (*(f"{role}_" for role in Role), HUB_TOKEN_VARIABLE)
    os.environ.update({name: value for name, value in secrets.items() if not name.startswith(of_job)})
    return {**os.environ, **secrets}


def hand_over(secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the next program: without these secrets, and with an open file that has them."""
    descriptor = os.memfd_create("secrets", 0)  # without MFD_CLOEXEC: the next program reads it
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(json.dumps(secrets).encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    rest = {name: value for name, value in os.environ.items() if name not in secrets}
    return rest | {DESCRIPTOR: str(descriptor)}
