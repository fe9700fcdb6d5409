"""Parameters and promises of each compression method. A method is one file, and one line in the registry."""
