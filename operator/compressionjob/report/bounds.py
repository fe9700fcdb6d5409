"""Types that the pod's summary and the job's status share, so that each summary fits into a status."""

from typing import Annotated

from pydantic import Field

from compressionjob.verdict import ObjectiveResult

Sentence = Annotated[str, Field(max_length=1024)]
FallbackSentence = Annotated[str, Field(max_length=512)]
Objectives = Annotated[list[ObjectiveResult], Field(max_length=32)]
Anomalies = Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=16)]
ResultLocation = Annotated[str, Field(max_length=1100)]
Fingerprint = Annotated[str, Field(max_length=80)]
"""A digest or the name of a checkpoint."""
