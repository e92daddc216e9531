"""ReShift: how well does an inspection model do on parts, defects and labels it has not seen?"""

__version__ = "0.1.0"
