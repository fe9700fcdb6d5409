"""Real models and data from package registries, for the demo, the examples and the tests."""
