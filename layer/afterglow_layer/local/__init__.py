"""Runs a function here as Lambda would: RIE in a sandbox of its own, frozen between invocations."""
