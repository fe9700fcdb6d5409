"""Quality metrics of both models' answers, each with its interval."""
