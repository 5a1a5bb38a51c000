"""Names of the model and the tasks that come inside ordinary packages; `data.packages` says inside which."""

PACKAGED_MODEL = "all-MiniLM-L6-v2"
# Tokens of a text that it can read.
PACKAGED_POSITIONS = 512
# What each packaged task is, for readers who do not know its name.
_IN_WORDS = {
    "trec6": "TREC questions (6 kinds of answer)",
    "trec50": "fine-grained TREC questions (50 kinds of answer)",
    "sent_movie": "movie reviews (good or bad)",
    "sent_nyt": "sentences of newspaper editorials (good or bad)",
    "sent_tweets": "tweets (good or bad)",
    "sent_amazon": "product reviews (good or bad)",
    "sms": "text messages (spam or not)",
}
PACKAGED_TASKS = tuple(_IN_WORDS)


def task_in_words(name: str) -> str:
    """Return what a task is; a user's own task goes by its name."""
    return _IN_WORDS.get(name, name)


def task_in_short(name: str) -> str:
    """Return what a task is without its classes, for use within a sentence."""
    return task_in_words(name).partition(" (")[0]
