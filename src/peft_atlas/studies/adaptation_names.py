"""Names that the adaptation study's rows bear; imports nothing, so that reading them needs no torch."""

STUDY = "adaptation"
EXPERIMENTS = ("methods", "ranks", "alphas", "shuffled_labels")
# The pretrained network on a target task as it is.
NO_ADAPTATION = "no adaptation"
