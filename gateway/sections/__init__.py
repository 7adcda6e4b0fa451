"""What files of settings are made of: sections with typed values, and errors that name file, line and key."""
