"""The processes of the gateway and what they claim: ``supervisor.Supervisor`` runs them."""
