"""One module a step: its parameters, and one call."""
