"""Where the key of a server is: nowhere but in the environment of who serves and who asks."""

KEY = "BENCH_SERVE_KEY"
"""In the environment: what clients must show. It is never printed, logged or stored."""
