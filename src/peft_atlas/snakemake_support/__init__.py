"""What the workflow needs around its jobs: dependencies, logs, resources, progress, costs, provenance."""
