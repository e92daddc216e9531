"""Does to runs what machines and people do to them, and looks whether anything was lost."""
