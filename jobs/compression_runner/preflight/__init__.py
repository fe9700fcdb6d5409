"""Looks before it leaps: everything that can be known of a job before weights move."""
