"""Real models and data that package registries carry, for the demo, the examples and the tests."""
