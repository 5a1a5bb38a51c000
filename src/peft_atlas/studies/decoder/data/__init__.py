"""The decoder study's tasks: problems, choices and a user's own rows, split, tokenised and checked."""
