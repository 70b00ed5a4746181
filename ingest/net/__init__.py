"""Talking to publishers: polite HTTP, resumable downloads, safe archives.

What does not belong here: anything about one publisher.
"""
