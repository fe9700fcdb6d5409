"""A package, so that its package-scoped fixtures end after its last test."""
