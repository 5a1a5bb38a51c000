"""Networks that the studies train."""
