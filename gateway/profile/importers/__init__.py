"""Profiles made of what other programs are configured with; used once by a site, and needed by nothing else."""
