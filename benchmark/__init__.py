"""Runs cells: plan, workers, store, presets and the command line."""
