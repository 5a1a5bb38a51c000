"""The planner of the page computes what `peft_atlas.planning` computes, answers at first sight, and is read by all."""

import random
from dataclasses import asdict

import pytest
from axe_playwright_python.sync_playwright import Axe

from peft_atlas.errors import AtlasError
from peft_atlas.planning import plan
from peft_atlas.planning.methods import METHODS
from peft_atlas.planning.settings import OPTIMIZERS
from peft_atlas.planning.targets import KINDS
from peft_atlas.report.content import Section
from peft_atlas.report.planner_panel import PRECISIONS, opening, planner
from peft_atlas.report.render import render_html

pytestmark = pytest.mark.slow

INPUTS = 200
BLOCK = planner()


@pytest.fixture
def open_planner(browser, tmp_path):
    """Return a function that opens a page with the planner alone."""
    file = tmp_path / "planner.html"
    file.write_text(render_html([Section("answers", "Will it fit?", [BLOCK])], {}), encoding="utf-8")
    contexts = []

    def opened(width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def random_inputs():
    """Return settings of every method and model, most of them possible."""
    draw = random.Random(16)
    for place in range(INPUTS):
        method = METHODS[place % len(METHODS)]
        linear = method.acts_on == "linear"
        yield {
            "model": draw.choice(BLOCK.data["models"])["name"], "card": draw.choice([8, 16, 24, 48, 80, 141.5]),
            "method": method.name, "rank": draw.choice([method.default_rank, 1, 7, 16, 64]),
            "batch": draw.randint(1, 33), "sequence": draw.choice([1, 77, 512, draw.randint(1, 9000)]),
            "precision": draw.choice(list(PRECISIONS)), "optimizer": draw.choice(OPTIMIZERS),
            "checkpointing": draw.random() < 0.4, "targets": draw.choice(["", *KINDS]) if linear else "",
        }  # fmt: skip


def by_the_library(chosen):
    """Return what the library plans for an input of the page, under the page's names; None where it refuses."""
    targets = (chosen["targets"],) if chosen["targets"] else ()
    settings = {"micro_batch": chosen["batch"], **{key: chosen[key] for key in ("sequence", "optimizer")}}
    _, precision, base = PRECISIONS[chosen["precision"]]
    settings |= {"checkpointing": chosen["checkpointing"], "precision": precision, "quantization": base}
    try:
        found = plan(chosen["model"], chosen["method"], rank=chosen["rank"], targets=targets, gpu_gb=chosen["card"],
                     **settings)  # fmt: skip
    except AtlasError:
        return None
    return {
        "trained": found.counts.trained, "percent": found.counts.percent_of_base, "parts": asdict(found.parts),
        "moment": found.moment, "peak": found.peak_bytes, "low": found.low_bytes, "high": found.high_bytes,
        "verdict": found.verdict, "batch": found.largest_micro_batch, "sequence": found.longest_sequence,
        "file": found.file_bytes,
    }  # fmt: skip


def test_the_page_plans_to_the_byte_as_the_library_does(open_planner):
    inputs = list(random_inputs())
    page = open_planner()
    got = page.evaluate("(inputs) => inputs.map((one) => document.getElementById('planner').plan(one))", inputs)
    expected = [by_the_library(chosen) for chosen in inputs]
    assert [None if "error" in found else found for found in got] == expected
    assert sum(found is not None for found in expected) > 0.8 * INPUTS
    assert {found["verdict"] for found in expected if found} == {"fits", "does not fit", "cannot tell"}
    assert page.said == []


def test_it_opens_with_an_answer_that_is_the_same_without_a_script(open_planner):
    expected = opening()
    for script in (True, False):
        page = open_planner(java_script_enabled=script)
        assert page.locator("form").is_visible() == script
        assert page.locator(".verdict").inner_text() == expected.sentence
        shown = [row.split("\t") for row in page.locator(".ways tbody tr").all_inner_texts()]
        assert shown == [list(row) for row in expected.ways]
        parts = [row.split("\t")[:2] for row in page.locator(".parts tbody tr").all_inner_texts()]
        assert parts == [list(row[:2]) for row in expected.bars]
        assert page.locator("dd").all_inner_texts() == [value for _, value in expected.facts]
        assert ("peft-atlas plan" in page.locator("#planner").inner_text()) != script


def test_its_fields_change_the_answer_and_refuse_in_words(open_planner):
    page = open_planner()
    field, answer = page.get_by_label, page.get_by_role("status")
    field("Model").select_option("Llama-3.2-3B")
    field("Method").select_option("full fine-tuning")
    field("Sequence (tokens)").fill("768")
    field("Card").fill("80")
    expected = plan("Llama-3.2-3B", "full", micro_batch=4, sequence=768, gpu_gb=80)
    assert f"the predicted peak is {expected.peak_bytes / 1e9:.1f} GB" in answer.inner_text()
    assert f"{expected.counts.trained:,}" in page.locator("dl").inner_text()
    assert page.locator("dd").first.inner_text() == "bf16, adamw, no checkpointing"
    assert field("Rank").is_disabled()
    field("Precision").select_option("bf16 over a 4-bit base (nf4)")
    assert "integers are not trained" in answer.inner_text()
    assert page.locator(".planned").is_hidden()
    field("Method").select_option("LoRA")
    page.get_by_label("Gradient checkpointing").check()
    assert "fits in 80 GB" in answer.inner_text()
    field("Micro-batch").fill("0")
    assert answer.inner_text() == "Micro-batch: a whole number from 1 up to 1,048,576, please."
    assert field("Micro-batch").get_attribute("aria-invalid") == "true"
    assert page.said == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (375, "light")])
def test_a_screen_reader_reads_it_and_a_phone_shows_it(open_planner, width, scheme):
    page = open_planner(width, color_scheme=scheme)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
    found = Axe().run(page, context="#planner", options=rules)
    assert {fault["id"]: fault["nodes"][0]["html"][:200] for fault in found.response["violations"]} == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#planner-model").focus()
    for _ in range(9):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "checkpointing"
    page.keyboard.press("Space")
    assert page.locator(".ways tbody tr").first.inner_text().split("\t")[1].startswith("24.6")


def test_on_paper_the_answer_is_left_and_the_form_is_not(open_planner):
    page = open_planner(688)
    page.emulate_media(media="print")
    assert page.locator("form").is_hidden()
    assert page.locator(".verdict").is_visible()
    assert page.locator(".parts").is_visible()
