"""The result tables: what a contract is, and the contracts of all tables."""
