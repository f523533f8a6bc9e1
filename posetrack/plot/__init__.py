"""Tracks as pictures and tables: paths, coordinates, speeds and joint angles over time."""
