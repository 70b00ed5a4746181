"""Time and memory, measured side by side with the plain alternative in the same run; never in a test."""
