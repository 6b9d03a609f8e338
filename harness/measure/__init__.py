"""What a model costs: parameters, FLOPs, latency, throughput, peak memory, and on which machine.

Every number is of one job in its own process, and says what it was measured with. Nothing heavy is
imported until a function is called.
"""
