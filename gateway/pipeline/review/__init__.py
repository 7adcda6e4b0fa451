"""Looking at a profile before it is used: its tests, what it makes of files and samples, and the document about it."""
