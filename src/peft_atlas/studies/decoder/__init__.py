"""The decoder study: methods on a language model of the LLaMA family, on the tasks of the published tables."""
