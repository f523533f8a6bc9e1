"""Cleaning tracks: smooth, fill, stitch, select. Functions from tracks to tracks; nothing is changed in place."""
