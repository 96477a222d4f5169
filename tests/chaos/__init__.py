"""Chaos for hosts and workers: `python -m chaos` from the folder of the tests; see `drive`."""
