"""A run as one HTML file for people: boards, plots, the parts that were judged most wrongly, and every cell."""
