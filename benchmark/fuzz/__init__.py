"""Hostile inputs for everything that reads a file: each is accepted or refused in one clear line, quickly and small."""
