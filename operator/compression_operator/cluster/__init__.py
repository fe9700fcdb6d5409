"""The one place that talks to the API server: credentials, paths, requests and errors."""
