"""Inspection models and the contract they share."""
