"""From a job to its report: the plan, its checkpoints, and the story of a run."""
