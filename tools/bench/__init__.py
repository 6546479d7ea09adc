"""Parts of the benchmarks in `tools/bench_*.py`."""
