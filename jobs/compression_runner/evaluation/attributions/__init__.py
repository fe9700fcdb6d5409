"""Agreement of what both models' answers rest on."""
