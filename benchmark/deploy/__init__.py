"""From a board's row to a model in use: trained on all data, written as files, exported, put to work on pictures."""
