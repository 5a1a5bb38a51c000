"""The result tables: what a contract is, and the contract of each table."""
