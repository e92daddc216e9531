"""Many cells in one process tree: nothing grows, and a cell in trouble costs only itself."""
