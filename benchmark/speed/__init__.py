"""What the suite costs, each figure a ratio taken side by side in one run: `python -m reshift.benchmark.speed`."""
