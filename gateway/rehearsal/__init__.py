"""Profiles tried before they count: their tests, what they make of files and samples, and the document about them."""
