"""The benchmark: this server beside others and beside the bare library, measured in one run. See `make bench`."""
