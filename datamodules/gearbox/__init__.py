"""Gearbox parts rendered in three dimensions: solids, marks, cameras, light, generation."""
