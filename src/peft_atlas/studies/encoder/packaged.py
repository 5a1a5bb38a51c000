"""Names of the model and the tasks that come inside ordinary packages; `data.packages` says inside which."""

PACKAGED_MODEL = "all-MiniLM-L6-v2"
# Tokens of a text that it can read.
PACKAGED_POSITIONS = 512
PACKAGED_TASKS = ("trec6", "trec50", "sent_movie", "sent_nyt", "sent_tweets", "sent_amazon", "sms")
