"""Losses in pure torch, one a file."""
