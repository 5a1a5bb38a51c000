"""Memory, parameters and settings of a fine-tuning run before it is started."""
