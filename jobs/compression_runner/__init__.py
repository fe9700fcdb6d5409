"""compression_runner."""
