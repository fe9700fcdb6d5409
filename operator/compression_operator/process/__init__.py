"""The operator's process: options, leader election, watches, HTTP server, start and shutdown."""
