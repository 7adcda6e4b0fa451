"""A gateway under constant load for minutes to days: nothing of it may grow."""
