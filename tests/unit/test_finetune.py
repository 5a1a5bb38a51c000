"""A run of the encoder study against a plain loop, killed and resumed, and with what is frozen kept."""

import gc
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from peft_atlas.methods.attach import attach
from peft_atlas.methods.full import FullFineTuning
from peft_atlas.methods.head_only import HeadOnly
from peft_atlas.methods.lora import LoRA
from peft_atlas.methods.lora_plus import LoRAPlus
from peft_atlas.methods.method import Members, Sizes
from peft_atlas.methods.registry import study_settings
from peft_atlas.models.encoder import HEAD, TextClassifier, encoder_sites, load_encoder
from peft_atlas.rng import generator
from peft_atlas.training.batches import Ragged
from peft_atlas.training.checkpoint import Checkpoint
from peft_atlas.training.divergence import collapsed_reason, entropy
from peft_atlas.training.finetune import FinetunePlan, Finetuning
from peft_atlas.training.schedule import ScheduledAdamW

# Left out of `make fast-test`: together these files take most of the time of the unit tests.
pytestmark = pytest.mark.slow

PLAN = FinetunePlan(epochs=2, batch_size=4, learning_rate=5e-3)
LOW = LoRA(r=2, lora_alpha=4.0, target_modules=("query", "value"))
DROPPED = LoRA(r=2, lora_alpha=4.0, lora_dropout=0.3, target_modules=("query", "value"))
PLUS = LoRAPlus(r=2, lora_alpha=4.0, target_modules=("layer.1.attention.self.query",))


def attached(part, method, seed=3):
    model = TextClassifier(load_encoder(part.model), len(part.texts.classes), seed)
    return attach(model, method, Members(seeds=(seed,)), HEAD)


def start(part, method, checkpoint=None, seed=3):
    train = part.labelled(part.texts.drawn(part.config.train_examples, seed))
    return Finetuning(attached(part, method, seed), train, PLAN, seed, checkpoint)


def test_bfloat16_is_near_float32_and_attention_stays_whole(tiny_part, monkeypatch):
    own, seen = F.scaled_dot_product_attention, set()

    def look(query, key, value, **options):
        seen.update({query.dtype, key.dtype, value.dtype})
        return own(query, key, value, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", look)
    losses = []
    for bfloat16 in (False, True):
        run = start(tiny_part, LOW)
        run.plan = replace(PLAN, bfloat16=bfloat16)
        losses.append(run.train().train_loss)
        assert {parameter.dtype for parameter in run.attached.model.parameters()} == {torch.float32}
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[1] != losses[0]
    assert seen == {torch.float32}


def test_batches_hold_every_row_once_and_little_padding():
    lengths = torch.randint(1, 30, (100,), generator=torch.Generator().manual_seed(0)).tolist()
    rows = Ragged.of([list(range(1, n + 1)) for n in lengths], torch.device("cpu"))
    batches = rows.shuffled(8, generator(0, "order"))
    assert sorted(torch.cat(batches).tolist()) == list(range(100))
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert padded < 1.25 * sum(lengths)
    states, mask = rows.batch(batches[0])
    for row, found, present in zip(batches[0].tolist(), states, mask, strict=True):
        assert found[present].tolist() == list(range(1, lengths[row] + 1))
        assert not found[~present].any()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 7))
def test_batches_by_length_are_a_partition(lengths, size):
    rows = Ragged.of([[1] * n for n in lengths], torch.device("cpu"))
    assert sorted(torch.cat(list(rows.by_length(size))).tolist()) == list(range(len(lengths)))


def test_a_state_that_is_loaded_is_held_once():
    own = torch.nn.Parameter(torch.ones(3))
    kept, again = (ScheduledAdamW({"a": own}, {"a": 1.0}, 1.0, 4, 1) for _ in range(2))
    assert kept.state()["moments"] == {}
    own.grad = torch.ones(3)
    kept.step()
    state = kept.state()
    again.load(state)
    pairs = zip(again.state()["moments"]["a"], state["moments"]["a"], strict=True)
    assert all(own.data_ptr() == saved.data_ptr() for own, saved in pairs)


def test_the_optimiser_is_torchs_adamw_under_a_linear_schedule():
    draws = torch.Generator().manual_seed(0)
    ours = {name: torch.nn.Parameter(torch.randn(5, 3, generator=draws)) for name in "ab"}
    theirs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in ours.values()]
    steps, warmup, rate = 9, 2, 0.1
    mine = ScheduledAdamW(ours, {"a": 1.0, "b": 16.0}, rate, steps, warmup)
    groups = [{"params": [theirs[0]], "lr": rate}, {"params": [theirs[1]], "lr": 16 * rate}]
    reference = torch.optim.AdamW(groups, lr=rate)
    factors = [1 / 3, 2 / 3, *((steps - step) / (steps - warmup) for step in range(warmup, steps))]
    schedule = torch.optim.lr_scheduler.LambdaLR(reference, lambda step: factors[min(step, steps - 1)])
    for _ in range(steps):
        for left, right in zip(ours.values(), theirs, strict=True):
            left.grad = torch.randn(5, 3, generator=draws)
            right.grad = left.grad.clone()
        mine.step()
        reference.step()
        schedule.step()
        assert all(parameter.grad is None for parameter in ours.values())
    for left, right in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


def plain_loop(part, method, seed=3):
    """Train by the textbook: no staged encoder, no cache, every batch through the whole network, torch's AdamW."""
    own = attached(part, method, seed)
    train = part.labelled(part.texts.drawn(part.config.train_examples, seed))
    total, rises = 12, 1
    groups = [{"params": [p], "lr": PLAN.learning_rate * own.rate_factors()[n]} for n, p in own.trainable().items()]
    optimizer = torch.optim.AdamW(groups, lr=PLAN.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (step + 1) / (rises + 1) if step < rises else (total - step) / (total - rises)
    )
    losses = []
    for epoch in range(PLAN.epochs):
        order = train.rows.shuffled(PLAN.batch_size, generator(seed, f"order/{epoch}"))
        own.model.train()
        epoch_losses = []
        for rows in order:
            loss = F.cross_entropy(own.model(*train.rows.batch(rows)), train.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            epoch_losses.append(float(loss.detach()))
        losses.append(sum(epoch_losses) / len(epoch_losses))
    own.model.eval()
    test = part.labelled(part.texts.split("test"))
    with torch.no_grad():
        logits = torch.cat([own.model(*test.rows.batch(torch.tensor([row]))) for row in range(len(test.labels))])
    return losses, float(F.cross_entropy(logits, test.labels)), float((logits.argmax(-1) == test.labels).float().mean())


@pytest.mark.parametrize("method", [FullFineTuning(), HeadOnly(), LOW, PLUS, DROPPED], ids=lambda m: m.name)
def test_a_run_is_a_plain_loop(tiny_part, method):
    run = start(tiny_part, method)
    history = run.train(tiny_part.labelled(tiny_part.texts.split("validation")))
    losses, test_loss, test_accuracy = plain_loop(tiny_part, method)
    assert history.train_loss == pytest.approx(losses, rel=1e-4)
    loss, accuracy = run.evaluate(run.advanced(tiny_part.labelled(tiny_part.texts.split("test"))))
    assert loss == pytest.approx(test_loss, rel=1e-4)
    assert accuracy == pytest.approx(test_accuracy, abs=1e-6)


@pytest.mark.parametrize(("method", "stages"), [(FullFineTuning(), 0), (LOW, 1), (PLUS, 2), (HeadOnly(), 3)])
def test_what_is_frozen_is_computed_once(tiny_part, method, stages):
    run = start(tiny_part, method)
    assert run.model.frozen_stages() == stages
    calls = []
    run.model.encoder.embeddings.register_forward_hook(lambda *_: calls.append(1))
    run.train(tiny_part.labelled(tiny_part.texts.split("validation")))
    # Once for validation where the embeddings are frozen; in every batch where they learn.
    assert len(calls) == (1 if stages else 2 * 6 + 2)


class Killed(Exception):
    """Stands for the signal that ends a job."""


@pytest.mark.parametrize("after", [2, 6, 9])
def test_a_killed_run_resumes_with_the_same_numbers(tiny_part, tmp_path, after):
    validation = tiny_part.labelled(tiny_part.texts.split("validation"))
    whole = start(tiny_part, DROPPED)
    expected = whole.train(validation)
    path = tmp_path / "run.pt"
    killed = start(tiny_part, DROPPED, Checkpoint(path, "same", seconds=0))
    step, taken = killed.step, []

    def stop_after(rows):
        if len(taken) == after:
            raise Killed
        taken.append(rows)
        return step(rows)

    killed.step = stop_after
    with pytest.raises(Killed):
        killed.train(validation)
    resumed = start(tiny_part, DROPPED, Checkpoint(path, "same", seconds=0))
    step_again, steps = resumed.step, []
    resumed.step = lambda rows: (steps.append(1), step_again(rows))[1]
    found = resumed.train(validation)
    assert len(steps) == 12 - after
    assert found.train_loss == expected.train_loss
    assert found.validation_loss == expected.validation_loss
    for name, tensor in whole.attached.state().items():
        assert torch.equal(tensor, resumed.attached.state()[name])


def test_a_checkpoint_of_another_run_is_not_read(tiny_part, tmp_path):
    validation = tiny_part.labelled(tiny_part.texts.split("validation"))
    start(tiny_part, LOW, Checkpoint(tmp_path / "run.pt", "one", seconds=0)).train(validation)
    other = start(tiny_part, LOW, Checkpoint(tmp_path / "run.pt", "two"), seed=4)
    assert other.train(validation).train_loss == start(tiny_part, LOW, seed=4).train(validation).train_loss
    other.checkpoint.remove()
    assert not (tmp_path / "run.pt").exists()


@pytest.mark.parametrize("method", [FullFineTuning(), DROPPED], ids=lambda m: m.name)
def test_a_run_paused_after_an_epoch_goes_on_in_another_process_bit_by_bit(tiny_part, tmp_path, method):
    validation = tiny_part.labelled(tiny_part.texts.split("validation"))
    whole = start(tiny_part, method)
    expected = whole.train(validation)
    path = tmp_path / "run.pt"
    first = start(tiny_part, method, Checkpoint(path, "same"))
    assert first.train(validation, until=1).train_loss == expected.train_loss[:1]
    first.pause()
    second = start(tiny_part, method, Checkpoint(path, "same"))
    found = second.train(validation)
    assert (found.train_loss, found.validation_loss) == (expected.train_loss, expected.validation_loss)
    second.pause()
    done = start(tiny_part, method, Checkpoint(path, "same"))
    assert done.train(validation).train_loss == expected.train_loss
    for name, tensor in whole.attached.state().items():
        assert torch.equal(tensor, done.attached.state()[name])


def test_validation_is_read_after_the_epochs_that_are_asked_for_and_changes_nothing(tiny_part):
    validation = tiny_part.labelled(tiny_part.texts.split("validation"))
    whole, once, never = (start(tiny_part, DROPPED) for _ in range(3))
    expected = whole.train(validation)
    found = once.train(validation, validated=(2,))
    assert found.validation_loss == [None, expected.validation_loss[1]]
    assert never.train().train_loss == found.train_loss == expected.train_loss
    assert never.history.validation_accuracy == [None, None]


def test_what_is_predicted_adds_up_to_the_accuracy(tiny_part):
    run = start(tiny_part, LOW)
    test = tiny_part.labelled(tiny_part.texts.split("test"))
    found = run.predict(run.advanced(test))
    assert found.accuracy == (found.predicted == test.labels).sum().item() / len(test.labels) == run.evaluate(test)[1]
    assert run.history.predicted_classes == len(set(found.predicted.tolist()))


def test_collapse_is_one_class_or_a_loss_at_the_entropy_of_the_labels():
    labels = [0] * 6 + [1] * 2 + [2] * 2
    frequencies = torch.tensor([0.6, 0.2, 0.2])
    assert entropy(labels) == pytest.approx(float(torch.distributions.Categorical(frequencies).entropy()))
    assert "same class" in collapsed_reason(0.1, labels, 1)
    assert "entropy" in collapsed_reason(0.951 * entropy(labels), labels, 3)
    assert collapsed_reason(0.949 * entropy(labels), labels, 3) is None
    assert collapsed_reason(0.949 * entropy(labels), labels, None) is None
    assert collapsed_reason(0.0, [1, 1, 1], 1) is None


def test_global_random_state_neither_decides_nor_changes(tiny_part):
    validation = tiny_part.labelled(tiny_part.texts.split("validation"))
    first = start(tiny_part, DROPPED).train(validation).train_loss
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    assert start(tiny_part, DROPPED).train(validation).train_loss == first
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_run_that_diverges_stops(tiny_part):
    run = start(tiny_part, LOW)
    run.model.head.weight.data.fill_(float("nan"))
    history = run.train(tiny_part.labelled(tiny_part.texts.split("validation")))
    assert history.diverged
    assert history.train_loss == history.validation_loss == []


@pytest.mark.parametrize(
    "method", [s.method for s in study_settings(encoder_sites(16), Sizes(2))] + [DROPPED], ids=repr
)
def test_an_epoch_leaves_no_reference_cycles(tiny_part, method):
    # Jobs train with the search for them switched off, so that any would add up.
    run = start(tiny_part, method)
    run.train_epoch(0)
    gc.collect()
    gc.disable()
    try:
        run.train_epoch(1)
        assert gc.collect() == 0
    finally:
        gc.enable()
