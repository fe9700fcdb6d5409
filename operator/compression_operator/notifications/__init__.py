"""Telling receivers of jobs: who they are, what they are told, and sending it until they take it."""
