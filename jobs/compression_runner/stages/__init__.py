"""The protocol between the pipeline and the methods."""
