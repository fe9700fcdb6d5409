"""The cache of CompressionReviews. All are kept, for any job: they are small and few."""

from collections.abc import Callable, Mapping
from typing import Any

from compression_operator.records.review import ReviewRecord


class Reviews:
    """The reviews by uid, and by the job that they are about.

    ``changed`` is called with ``namespace/name`` of a job whose reviews may become valid or invalid.
    """

    def __init__(self) -> None:
        self.changed: Callable[[str], None] = lambda _: None
        self._reviews: dict[str, ReviewRecord] = {}
        self._by_job: dict[tuple[str, str], dict[str, ReviewRecord]] = {}

    def about(self, namespace: str, job: str) -> tuple[ReviewRecord, ...]:
        """Return all reviews that name this job."""
        return tuple(self._by_job.get((namespace, job), {}).values())

    def recheck(self, namespace: str, job: str) -> None:
        """Report that a job has changed: its reviews, if there are any, may become valid or invalid."""
        if (namespace, job) in self._by_job:
            self.changed(f"{namespace}/{job}")

    def recheck_all(self) -> None:
        """Report all jobs that have reviews, for a new leader."""
        for namespace, job in list(self._by_job):
            self.changed(f"{namespace}/{job}")

    def get(self, uid: str) -> ReviewRecord | None:
        """Return a review."""
        return self._reviews.get(uid)

    def put(self, review: ReviewRecord) -> ReviewRecord | None:
        """Store a review; return it if it is new or has changed."""
        known = self._reviews.get(review.uid)
        if known is not None and known.version >= review.version:
            return None
        self._reviews[review.uid] = review
        self._by_job.setdefault((review.namespace, review.job), {})[review.uid] = review
        self.recheck(review.namespace, review.job)
        return review

    def drop(self, uid: str) -> ReviewRecord | None:
        """Forget a review; return its last record."""
        known = self._reviews.pop(uid, None)
        if known is not None:
            about = self._by_job[known.namespace, known.job]
            del about[uid]
            if not about:
                del self._by_job[known.namespace, known.job]
        return known

    def versions(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        """Return version and metadata by uid."""
        return {uid: (review.version, {"uid": uid}) for uid, review in self._reviews.items()}
