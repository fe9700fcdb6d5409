"""The words that may not appear, each with the term of the field that stands in its place."""

from typing import Final

IN_NAMES: Final = {
    "told": "report, record, summary, callback",
    "tell": "report, record, state, describe",
    "tells": "reports, records, states, describes",
    "telling": "reporting, describing",
    "found": "the thing itself: children, match, response",
    "mend": "fix",
    "mended": "fixed",
    "nobody": "no_user",
    "somebody": "the user, another owner",
    "whoever": "the author, the owner",
    "lesson": "trainer, distiller",
    "teach": "train",
    "contender": "system_under_test",
    "narrowing": "student_initialization",
    "happening": "event",
    "happenings": "job_events",
    "news": "transitions",
    "patience": "retry, backoff",
    "census": "cache_resync",
    "childhood": "child_job",
    "hungriest": "peak_step",
    "asked": "requested, request",
    "players": "shap_features",
    "remind": "restore",
    "story": "sequence, order",
}
"""Part of an identifier or of a file name, in lower case -> what to write."""

PUBLISHED: Final = frozenset({"ALL_FOUND", "RECEIVERS_FOUND", "mended"})
"""Names of a condition, a reason and a key of report.json: part of the API, so they cannot change."""

CLASS_NAMES: Final = {
    "Bench": "PerturbationSetup",
    "Facts": "RunResult",
    "Made": "StepOutput",
    "Mark": "Condition",
    "Places": "RunLocations",
    "Staged": "PreparedModels",
    "Ticks": "ProgressCounter",
    "Walk": "SequentialCalibration",
}
"""Name of a class -> what to call it."""

IN_TEXT: Final = {
    "told": "reported, stated, recorded",
    "tell": "report, state, show",
    "tells": "reports, states, shows",
    "telling": "reporting, showing",
    "mend": "fix",
    "mends": "fixes",
    "mended": "fixed",
    "nobody": "no user",
    "somebody": "a user, another owner",
    "whoever": "the user who, the author",
    "contender": "system under test",
    "patience": "retries, backoff",
    "hungriest": "peak",
    "happenings": "events",
}
"""Word of a sentence, in lower case -> what to write."""
