"""PEFT methods, one a file; none knows a model, a task or the workflow.

A method is a frozen dataclass of its settings, a `peft_atlas.methods.method.Method`. `attach` wraps the modules it
names in any network; a file that defines a new one is all that a new method takes (see `registry`).
"""
