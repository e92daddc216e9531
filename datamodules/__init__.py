"""Pictures: readers, the synthetic parts, caches and LightningDataModules."""
