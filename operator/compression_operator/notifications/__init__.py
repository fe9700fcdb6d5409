"""Notifications about jobs: the receivers, the messages, and delivery with retries."""
