"""The notebook study: sections 2-4 of the seed notebook."""
