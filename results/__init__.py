"""Records, metrics, intervals and leaderboards, without torch."""
