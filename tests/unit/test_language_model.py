"""Runs of a language model against plain loops: losses, greedy answers, choices, and going on from a checkpoint."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from prompted_rows import rows

from peft_atlas.errors import AtlasError
from peft_atlas.methods.attach import attach
from peft_atlas.methods.bitfit import BitFit
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.loreft import LoReFT
from peft_atlas.methods.method import Members
from peft_atlas.methods.texts import prompts as said_prompts
from peft_atlas.models.decoder import SMALL, TOKEN_TABLES, random_llama
from peft_atlas.rng import generator
from peft_atlas.training import language_model
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.finetune import FinetunePlan
from peft_atlas.training.language_model import LanguageTuning, Prompted, choice_scores, score, text_loss
from peft_atlas.training.schedule import ScheduledAdamW

PLAN = FinetunePlan(epochs=2, batch_size=4, learning_rate=1e-2)
LOW = LoRA(r=2, lora_alpha=4.0, target_modules=("q_proj", "down_proj"))
DROPPED = LoRA(r=2, lora_alpha=4.0, lora_dropout=0.3, target_modules=("q_proj", "v_proj"))
TOP = LoRA(r=2, lora_alpha=4.0, target_modules=("layers.1.mlp.up_proj",))
FULL = FullFineTuning(TOKEN_TABLES)
ENDS = LoReFT(r=2, target_modules=("layers.*",), width=32, edges=1, start="identity")


def tuned(method, plan=PLAN, checkpoint=None, seed=3):
    return LanguageTuning(
        attach(random_llama(SMALL, 0), method, Members(seeds=(seed,))), rows(22), plan, seed, checkpoint
    )


def loss_of(model, prompt, answer):
    """Return the losses of an answer's tokens, from logits at all positions of one row."""
    logits = model(torch.tensor([prompt + answer]))[0, len(prompt) - 1 : -1]
    return F.cross_entropy(logits, torch.tensor(answer), reduction="none"), logits.argmax(-1)


@pytest.mark.parametrize("at_once", [1, 20, 200])
@pytest.mark.parametrize("method", [LOW, FULL, TOP], ids=["LoRA", "full", "LoRA on the last layer"])
def test_training_is_that_of_a_plain_loop(method, at_once, monkeypatch):
    for name in ("_TOKENS_AT_ONCE", "_TOKENS_AT_ONCE_IN_FULL"):
        monkeypatch.setattr(language_model, name, at_once)
    run, plain = tuned(method), attach(random_llama(SMALL, 0), method, Members(seeds=(3,)))
    optimizer = ScheduledAdamW(plain.trainable(), plain.rate_factors(), PLAN.learning_rate, 12, 1)
    train, expected = rows(22), []
    for epoch in range(PLAN.epochs):
        losses = []
        for batch in run._train.rows.shuffled(PLAN.batch_size, generator(3, f"order/{epoch}")):
            each = [loss_of(plain.model, train.prompts[row], train.answers[row])[0] for row in batch.tolist()]
            loss = torch.cat(each).mean()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        expected.append(sum(losses) / len(losses))
    found = run.train()
    assert found.train_loss == pytest.approx(expected, rel=1e-4)
    assert found.train_loss[1] < found.train_loss[0]
    for name, value in plain.state().items():
        torch.testing.assert_close(run.attached.state()[name], value, rtol=1e-2, atol=1e-4)


def test_tables_of_tokens_do_not_learn_in_full_fine_tuning():
    run, before = tuned(FULL), random_llama(SMALL, 0).state_dict()
    run.train()
    after = run.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == set(before) - {"embed_tokens.weight", "lm_head.weight"}
    with pytest.raises(AtlasError, match=r"embed_tokens\.weight: a table of tokens would learn"):
        tuned(FullFineTuning())


def test_what_is_frozen_below_is_computed_once():
    assert tuned(TOP)._train.stages == 2
    assert tuned(LOW)._train.stages == tuned(FULL)._train.stages == 0


@pytest.mark.filterwarnings("ignore:BitFit")
def test_a_method_without_anything_to_learn_is_refused():
    with pytest.raises(AtlasError, match="nothing of the language model learns"):
        tuned(BitFit())


@pytest.mark.parametrize("method", [DROPPED, FULL, TOP], ids=["LoRA with dropout", "full", "LoRA on the last layer"])
def test_a_paused_and_a_killed_run_go_on_bit_for_bit(method, tmp_path):
    whole = tuned(method)
    whole.train(rows(9, 1))
    paused = tuned(method, checkpoint=Checkpoint(tmp_path / "a.pt", "run"))
    paused.train(rows(9, 1), until=1)
    paused.pause()
    again = tuned(method, checkpoint=Checkpoint(tmp_path / "a.pt", "run"))
    assert again.train(rows(9, 1)).train_loss == whole.history.train_loss
    killed = tuned(method, checkpoint=Checkpoint(tmp_path / "b.pt", "run", seconds=0))
    own, steps = killed._optimizer.step, iter(range(8))
    killed._optimizer.step = lambda: (
        own() if next(steps, None) is not None else (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        killed.train(rows(9, 1))
    after = tuned(method, checkpoint=Checkpoint(tmp_path / "b.pt", "run", seconds=0))
    assert len(after.history.train_loss) == 1
    after.train(rows(9, 1))
    for run in (again, after):
        assert run.history.validation_loss == whole.history.validation_loss
        assert all(torch.equal(value, whole.attached.state()[name]) for name, value in run.attached.state().items())


def greedy(model, prompt, count):
    """Return tokens generated greedily after a prompt, one at a time."""
    written = []
    with torch.no_grad():
        for _ in range(count):
            written.append(int(model(torch.tensor([prompt + written]))[0, -1].argmax()))
    return written


@pytest.fixture(scope="module")
def taught():
    """Return a model that has learnt to answer about half of its rows."""
    run = tuned(FULL, FinetunePlan(epochs=25, batch_size=4, learning_rate=1e-2))
    run.train(rows(22))
    return run


def test_exact_is_what_writing_greedily_gives(taught):
    model = taught.model.eval()
    asked = Prompted(rows(22).prompts + rows(40, 5).prompts, rows(22).answers + rows(40, 5).answers)
    found = score(model, asked)
    expected = [
        greedy(model, prompt, len(answer)) == answer
        for prompt, answer in zip(asked.prompts, asked.answers, strict=True)
    ]
    assert found.exact.tolist() == expected
    assert 10 < sum(expected) < 60
    assert found.accuracy == sum(expected) / len(expected)


def test_scores_are_those_of_single_rows(taught):
    model, asked = taught.model.eval(), rows(40, 5)
    found = score(model, asked)
    with torch.no_grad():
        losses = [loss_of(model, *row)[0].double() for row in zip(asked.prompts, asked.answers, strict=True)]
    assert found.tokens.tolist() == list(map(len, asked.answers))
    torch.testing.assert_close(found.loss, torch.stack([each.mean() for each in losses]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        found.log_likelihood, -torch.stack([each.sum() for each in losses]), rtol=1e-4, atol=1e-5
    )
    assert found.loss_per_token == pytest.approx(float(torch.cat(losses).mean()), rel=1e-4)


def test_validation_is_the_score_of_its_rows(taught):
    found = score(taught.model, rows(22))
    assert taught.history.validation_loss[-1] == pytest.approx(found.loss_per_token)
    assert taught.history.validation_accuracy[-1] == found.accuracy


def test_choices_are_scored_as_answers(taught):
    prompts, choices = [[1, 2], [3, 4, 5]], [[[1], [2, 3], [4]], [[5, 6], [7]]]
    found = choice_scores(taught.model, prompts, choices)
    assert [each.shape for each in found] == [(3,), (2,)]
    with torch.no_grad():
        for prompt, each, values in zip(prompts, choices, found, strict=True):
            expected = [-float(loss_of(taught.model, prompt, choice)[0].sum()) for choice in each]
            np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_the_loss_of_a_text_is_that_of_all_tokens_but_the_first(taught):
    texts = [[1, 2, 3, 4], [5, 6]]
    with torch.no_grad():
        losses = torch.cat([loss_of(taught.model, text[:1], text[1:])[0] for text in texts])
    assert text_loss(taught.model, texts) == pytest.approx(float(losses.mean()), rel=1e-5)


def test_an_edit_of_edges_is_put_at_both_ends_of_each_prompt():
    run = tuned(ENDS)
    run.train()
    asked = rows(9, 1)
    found = score(run.model, asked)
    with torch.no_grad():
        for place, (prompt, answer) in enumerate(zip(asked.prompts, asked.answers, strict=True)):
            with said_prompts(run.model, torch.tensor([len(prompt)])):
                losses, _ = loss_of(run.model, prompt, answer)
            assert float(found.loss[place]) == pytest.approx(float(losses.mean()), rel=1e-4)


def test_half_precision_is_near_and_attention_stays_whole(monkeypatch):
    own, seen = F.scaled_dot_product_attention, set()

    def look(query, key, value, **options):
        seen.update({query.dtype, key.dtype, value.dtype})
        return own(query, key, value, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", look)
    whole = tuned(LOW).train().train_loss
    half = tuned(LOW, FinetunePlan(2, 4, 1e-2, bfloat16=True)).train().train_loss
    assert half == pytest.approx(whole, rel=0.02)
    assert half != whole
    assert seen == {torch.float32}


@pytest.mark.parametrize(
    ("prompts", "answers", "words"),
    [
        ([], [], "0 prompts and 0 answers"),
        ([[1]], [[1], [2]], "1 prompts and 2 answers; allowed: as many"),
        ([[1], []], [[1], [2]], "prompt 1 has no tokens"),
        ([[1], [2]], [[], [2]], "answer 0 has no tokens"),
    ],
)
def test_faulty_rows_are_refused(prompts, answers, words):
    with pytest.raises(AtlasError, match=words):
        Prompted(prompts, answers)


def test_rows_longer_than_the_context_are_refused():
    fits, over = Prompted([[1] * 200], [[2] * 56]), Prompted([[1], [1] * 200], [[2], [2] * 57])
    model = random_llama(SMALL, 0)
    assert score(model, fits).tokens.tolist() == [56]
    with pytest.raises(AtlasError, match="row 1 has 200 tokens of prompt and 57 of answer; allowed: at most 256 "):
        score(model, over)
    with pytest.raises(AtlasError, match="row 1 has 200"):
        LanguageTuning(attach(model, LOW), over, PLAN, 0)
    with pytest.raises(AtlasError, match="text 1 has 1 tokens; allowed: at least 2"):
        text_loss(model, [[1, 2], [3]])
    with pytest.raises(AtlasError, match="1 prompts and 2 lists of choices"):
        choice_scores(model, [[1]], [[[1]], [[2]]])
    with pytest.raises(AtlasError, match="answer 1 has no tokens"):
        choice_scores(model, [[1]], [[[1], []]])
