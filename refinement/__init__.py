"""Which training samples to keep: policies, the loop and its trace."""
