"""Protocols: pure tables that say who trains, who validates and who is tested."""
