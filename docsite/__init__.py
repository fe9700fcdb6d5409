"""The documentation as a site: `make docs` builds it from docs/, README.md and the CRDs with MkDocs."""
