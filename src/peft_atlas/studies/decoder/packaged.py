"""Names of the model and the tasks that come inside ordinary packages or are made here."""

PACKAGED_MODEL = "SmolLM2-135M-Instruct"
# Two layers with random weights, for the smoke study and the tests: its numbers mean nothing.
RANDOM_MODEL = "random"
ARITHMETIC, COMMONSENSE = "arithmetic", "commonsense"
PACKAGED_TASKS = (ARITHMETIC, COMMONSENSE)
COMMONSENSE_FILE = "twc_objects.folds.json"
# What each task is, for readers who do not know its name.
_IN_WORDS = {
    ARITHMETIC: "arithmetic word problems made here",
    COMMONSENSE: "places of household things (TextWorld Commonsense)",
}


def task_in_words(name: str) -> str:
    """Return what a task is; a user's own task goes by its name."""
    return _IN_WORDS.get(name, name)
