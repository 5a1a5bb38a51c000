"""How many parameters and bytes it takes to train a model, from its architecture and a documented configuration."""
