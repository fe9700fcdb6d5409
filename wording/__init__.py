"""Check the vocabulary of the project: names in code, and text that users read (`make lint`)."""
