"""How each family of models lays out its layers, read from the model classes of transformers 5.23.0."""
