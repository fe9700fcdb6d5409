"""Serving engines: servers with an HTTP interface, as processes of their own."""
