"""Whether the synthetic parts measure shift and not artefacts: four gates, fixed before any model is compared."""
