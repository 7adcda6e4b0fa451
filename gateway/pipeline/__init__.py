"""The processes that move instances from state to state: ``supervisor.Supervisor`` runs them."""
