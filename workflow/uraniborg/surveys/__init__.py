"""The survey registry: simulated, archived and user's own data as the same tables."""
