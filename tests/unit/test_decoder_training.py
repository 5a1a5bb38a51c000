"""The decoder study: controls and answers against plain loops, and runs that pause, are tuned and are tested."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

from peft_atlas.models.decoder import SMALL, random_llama
from peft_atlas.models.packaged_decoder import write_random
from peft_atlas.studies.decoder.config import DecoderConfig, DecoderTaskConfig
from peft_atlas.studies.decoder.controls import WordCounts, counted
from peft_atlas.studies.decoder.data.example_contract import DECODER_EXAMPLES
from peft_atlas.studies.decoder.data.examples import read_rows
from peft_atlas.studies.decoder.data.items import Item
from peft_atlas.studies.decoder.data.prepare import prepared
from peft_atlas.studies.decoder.run import Part, Run, Trial, answered, find_setting
from peft_atlas.studies.decoder.train import SettingJob, by_answer_loss, references, train_setting, train_shuffled
from peft_atlas.tables.contract import read_table, write_table
from peft_atlas.tables.schemas import COSTS, CURVES, ITEMS, RUNS
from peft_atlas.training.history import History
from peft_atlas.training.search import SearchPlan

PLACES = ("shelf", "desk", "sink", "bed")
TASK = DecoderTaskConfig(
    name="commonsense", methods=("full",), train_examples=16, validation_examples=6, test_examples=8, epochs=2
)
CONFIG = DecoderConfig(model="random", tasks=(TASK,), few_shots=1, few_shot_examples=4, batch_size=8, warmup=0.0)


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    """Return what a job trains on: a random model, and things whose place their colour tells."""
    folder = tmp_path_factory.mktemp("decoder")
    write_random(folder / "model", SMALL)
    colours = ("red", "blue", "old", "wet")
    items = [
        Item(f"A {colours[n % 4]} n{n} is on the", PLACES[n % 4], PLACES, stratum=f"kind {n % 2}").closed()
        for n in range(34)
    ]
    splits = {"train": items[:20], "validation": items[20:26], "test": items[26:]}
    rows = prepared("commonsense", splits, ["Plain text.", "And more."], folder / "model", SMALL.context)
    write_table(DECODER_EXAMPLES, rows, folder / "rows.parquet")
    return Part(CONFIG, TASK, read_rows(folder / "rows.parquet"), folder / "model", "cpu", folder / "states")


def test_counts_of_words_are_those_of_a_plain_loop():
    prompts, answers = ["a red hat", "a red cup", "an old cup", "a hat"], ["shelf", "sink", "sink", "shelf"]
    counts = WordCounts(prompts, answers)

    def by_hand(prompt, answer):
        words = [word for text, own in zip(prompts, answers, strict=True) if own == answer for word in text.split()]
        vocabulary = {word for text in prompts for word in text.split()}
        each = [(words.count(word) + 1) / (len(words) + len(vocabulary)) for word in prompt.split()]
        return log(answers.count(answer) + 1) + sum(map(log, each))

    for prompt in ("a red hat", "an old new thing"):
        for answer in ("shelf", "sink", "bed"):
            assert counts.score(prompt, answer) == pytest.approx(by_hand(prompt, answer))


def test_counts_of_words_learn_what_a_word_tells_and_the_prior_does_not(part):
    prior, counts = counted(part.rows, 20, 0)
    assert counts.found.accuracy == 1.0
    assert prior.found.accuracy < 0.6


def test_the_answer_is_the_choice_of_the_highest_likelihood_token_by_token(part):
    model, rows = random_llama(SMALL, 3), part.rows.split("test")
    found = answered(model, rows)
    for place, row in enumerate(rows.itertuples()):
        sums = []
        for choice in row.choice_tokens:
            tokens, total = list(row.prompt_tokens), 0.0
            for token in choice:
                with torch.no_grad():
                    total += float(model(torch.tensor([tokens]))[0, -1].log_softmax(-1)[token])
                tokens.append(int(token))
            sums.append(total)
        right = list(row.choices).index(row.answer)
        assert found.correct[place] == (int(np.argmax(sums)) == right)
        assert found.losses[place] == pytest.approx(-sums[right] / len(row.answer_tokens), abs=1e-4)


def test_open_answers_are_right_where_the_model_writes_them(part):
    model, rows = random_llama(SMALL, 3), part.rows.split("test").assign(choice_tokens=None)
    tokens = list(rows["prompt_tokens"].iloc[0])
    written = []
    for _ in range(3):
        with torch.no_grad():
            written.append(int(model(torch.tensor([tokens + written]))[0, -1].argmax()))
    rows["answer_tokens"] = [written, *rows["answer_tokens"].iloc[1:]]
    assert answered(model, rows).correct[0]


def test_examples_go_before_every_prompt(part):
    model, rows = random_llama(SMALL, 3), part.rows.split("test").head(2)
    longer = rows.assign(prompt_tokens=[[5, 6, *ids] for ids in rows["prompt_tokens"]])
    assert answered(model, rows, [5, 6]) == answered(model, longer)


def test_a_run_that_paused_ends_as_one_that_did_not(part):
    trial = Trial("methods", find_setting("LoRA (all linear modules)", part.model), 0.01, 0)
    whole = Run(replace(part, checkpoints=None), trial).train().read_test()
    Run(part, trial).train(1).pause()
    again = Run(part, trial)
    assert again.epochs == 1
    again.train().read_test().forget()
    assert again.history.train_loss == whole.history.train_loss
    assert (again.test, again.text_loss) == (whole.test, whole.text_loss)


def test_full_fine_tuning_leaves_the_table_of_tokens_as_it_is(part):
    run = Run(replace(part, checkpoints=None), Trial("methods", find_setting("full", part.model), 0.01, 0))
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    run.train()
    moved = {name for name, value in run.model.named_parameters() if not torch.equal(before[name], value)}
    assert moved == {name for name in before if not name.startswith(("embed_tokens", "lm_head"))}


def test_a_setting_is_tuned_by_answer_loss_and_leaves_rows_of_the_contracts(part, tmp_path):
    setting = find_setting("full", part.model)
    job = SettingJob("methods", setting, SearchPlan((1e-5, 3e-3), 2, 1, 0), (0,), (0, 1))
    found = train_setting(part, job)
    for contract, rows in ((RUNS, found.runs), (CURVES, found.curves), (COSTS, found.costs), (ITEMS, found.items)):
        write_table(contract, rows, tmp_path / f"{contract.name}.parquet")
    runs = read_table(RUNS, tmp_path / "runs.parquet")
    by_rate = runs[runs["seed"] == 0].groupby("learning_rate").first()
    assert by_rate.loc[3e-3, "selected"]
    assert by_rate.loc[1e-5, "status"] == "stopped"
    tested = runs[runs["test_examples"].notna()]
    items = read_table(ITEMS, tmp_path / "items.parquet")
    means = items.groupby("run_id")["correct"].mean()
    assert means[tested["run_id"]].tolist() == tested["test_accuracy"].tolist()
    assert set(items["stratum"]) == {"kind 0", "kind 1"}
    assert tested["text_loss"].notna().all()
    assert not list(part.checkpoints.glob("*.pt"))


def test_the_lower_loss_wins_whatever_the_accuracy():
    better = History(validation_loss=[1.0], validation_accuracy=[0.1])
    worse = History(validation_loss=[2.0], validation_accuracy=[0.9])
    assert by_answer_loss(better) > by_answer_loss(worse)


def test_seeds_draw_other_training_rows_and_methods_share_them(part):
    one, again, other = (part.rows.drawn(16, seed)["digest"].tolist() for seed in (0, 0, 1))
    assert one == again != other


def test_shuffled_answers_are_those_of_the_seed_in_another_order(part):
    setting = find_setting("full", part.model)
    trial = Trial("controls", setting, 0.01, 0, shuffled=True)
    run, plain = Run(replace(part, checkpoints=None), trial), part.rows.drawn(16, 0)
    answers = run._training_rows().answers
    assert answers != [list(ids) for ids in plain["answer_tokens"]]
    assert sorted(answers) == sorted(list(ids) for ids in plain["answer_tokens"])
    (row,) = train_shuffled(replace(part, checkpoints=None), setting, 0.01, [0]).runs
    assert (row["method"], row["selected"]) == ("shuffled labels", None)


def test_references_read_the_model_as_it_came(part):
    zero, few = references(part, 0).runs
    assert (zero["test_examples"], few["test_examples"]) == (8, 4)
    assert zero["learning_rate"] is None
    assert zero["test_accuracy"] == answered(random_llama(SMALL, 0), part.rows.split("test")).accuracy
