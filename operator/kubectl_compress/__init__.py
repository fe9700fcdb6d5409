"""``kubectl compress``: CompressionJobs submitted, followed, compared, reviewed and tried again from a terminal."""
