"""Access to the API server: credentials, paths, requests and errors. No other package sends requests to it."""
