"""Machine-readable descriptions of result tables, for catalogues and archives."""
