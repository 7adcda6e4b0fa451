"""Keys and what is kept safe: secrets of projects, what they seal, who may read files, backup and restore."""
