"""PEFT methods, one a file; none knows a model, a task or the workflow."""
