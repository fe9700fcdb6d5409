"""The operator's process: options, election, watches, its HTTP server, start and end."""
