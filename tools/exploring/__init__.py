"""Random scripts for the kernel: see `tools/explore_kernel.py`."""
