"""compression_operator."""
