"""What an extra installs beside its packages: data files of wheels, and whether they are there."""
