"""Parameters and promises of each compression method: one file a method, one line in the registry."""
