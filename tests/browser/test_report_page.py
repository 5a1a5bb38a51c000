"""The report in a real browser: it opens, stays on its page, sorts, filters, explores, prints, and is read by all."""

import json
import re
from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.slow

SIDEWAYS = """() => [...document.querySelectorAll('main *')].filter((e) => {
  const scrolls = ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  return scrolls && e.tagName !== 'PRE' && e.scrollWidth > e.clientWidth + 1;
}).map((e) => `${e.className} ${e.getAttribute('aria-label')}`)"""


def test_it_opens_in_a_second_and_says_and_asks_nothing(open_report, report):
    page = open_report()
    # Processor time of the page's main thread, so that other work on the machine does not count.
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload(wait_until="load")
    spent = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    assert 0 < spent["TaskDuration"] < 1
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("data:", report.as_uri()))] == []
    assert report.stat().st_size < 5_000_000


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_the_page_never_scrolls_sideways(open_report, width):
    page = open_report(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(SIDEWAYS)
    assert wide == [] if width == 1280 else all("picture" in name for name in wide)


def test_every_link_leads_somewhere(open_report, report):
    page = open_report()
    dead = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash.slice(1))"
        ".filter(id => !document.getElementById(id))"
    )
    assert dead == []
    files = page.evaluate("[...document.querySelectorAll('a:not([href^=\"#\"])')].map(a => a.getAttribute('href'))")
    assert files
    assert [name for name in set(files) if not (report.parent / name).is_file()] == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (375, "light")])
def test_a_screen_reader_and_weak_eyes_can_read_it(open_report, width, scheme):
    page = open_report(width, color_scheme=scheme, reduced_motion="reduce")
    # A few rows of each kind stand for all, which would take minutes; what is off screen is laid out too.
    page.evaluate(
        "document.querySelectorAll('.rowset:nth-of-type(n+4), tbody tr:nth-child(n+5)').forEach(e => e.remove())"
    )
    page.add_style_tag(content=".rowset { content-visibility: visible !important; }")
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    # Of what passes nothing is described, which takes half of the time.
    found = Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
    faults = {fault["id"]: fault["nodes"][0]["html"][:200] for fault in found.response["violations"]}
    assert faults == {}
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(page.evaluate("[...document.images].map(i => i.alt.length > 30)"))


def rows_of(table, column):
    return [text.strip() for text in table.locator(f"tbody tr:visible td:nth-child({column})").all_inner_texts()]


def test_a_header_sorts_numbers_as_numbers_and_back(open_report):
    page = open_report()
    box = page.locator("section:has(#recomputed) .tablebox").first
    header = box.get_by_role("columnheader").all_inner_texts()
    column = next(place for place, name in enumerate(header, 1) if name.startswith("trainable params"))
    box.get_by_role("button", name="trainable params").click()
    shown = [int(text.replace(",", "")) for text in rows_of(box, column)]
    assert shown == sorted(shown)
    assert len(str(shown[0])) < len(str(shown[-1]))
    assert box.get_by_role("columnheader").nth(column - 1).get_attribute("aria-sort") == "ascending"
    box.get_by_role("button", name="trainable params").press("Enter")
    assert [int(text.replace(",", "")) for text in rows_of(box, column)] == shown[::-1]


def test_a_filter_keeps_the_rows_that_hold_all_words(open_report):
    page = open_report()
    box = page.locator("section:has(#recomputed) .tablebox").first
    before = box.locator("tbody tr").all_inner_texts()
    box.get_by_role("searchbox").fill("lora 13b")
    after = box.locator("tbody tr:visible").all_inner_texts()
    assert after == [text for text in before if "lora" in text.lower() and "13b" in text.lower()]
    assert 0 < len(after) < len(before)
    assert box.get_by_role("status").inner_text() == f"{len(after)} of {len(before)} rows"


def dominated(point, others, x, y, lower):
    """Return whether another point of the same task and model beats this one; written apart from the page's script."""

    def better(a, b, key):
        return a["values"][key] < b["values"][key] if lower[key] else a["values"][key] > b["values"][key]

    rivals = [
        o for o in others if (o["study"], o["task"], o["model"]) == (point["study"], point["task"], point["model"])
    ]
    return any(
        not better(point, other, x)
        and not better(point, other, y)
        and (better(other, point, x) or better(other, point, y))
        for other in rivals
    )


def on_front(point, others, x, y, lower):
    """Return whether a point is on the front: by the numbers alone, or, of measured accuracy, by paired intervals."""
    if point["study"] == "literature" or "accuracy" not in (x, y):
        return not dominated(point, others, x, y, lower)
    group = [
        o for o in others if (o["study"], o["task"], o["model"]) == tuple(point[k] for k in ("study", "task", "model"))
    ]
    compared = [o for o in group if "against_full" in o]
    cost = y if x == "accuracy" else x
    sign = 1 if lower[cost] else -1
    front = []
    if 2 * len(compared) > len(group):
        for each in sorted(compared, key=lambda o: (sign * o["values"][cost], -o["against_full"][0])):
            if all(each["against_full"][1] > other["against_full"][2] for other in front):
                front.append(each)
    return point in front


def test_the_explorer_shows_two_metrics_and_its_front_follows_the_filters(open_report):
    page = open_report()
    data = json.loads(page.locator("#explorer-data").inner_text())
    lower = {metric["key"]: metric["lower_is_better"] for metric in data["metrics"]}
    explorer, right = page.locator("#explorer"), page.locator(".panel").nth(1)

    def front_in_list():
        rows = explorer.locator("tbody tr").all_inner_texts()
        return sum(re.split(r"[\t\n]+", row)[-2] == "yes" for row in rows), len(rows)

    def expected(x, y, keep):
        chosen = [p for p in data["points"] if x in p["values"] and y in p["values"] and keep(p)]
        return sum(on_front(p, chosen, x, y, lower) for p in chosen), len(chosen)

    left = {"study": "encoder", "task": data["start"]["encoder"]}

    def shown(point, methods=None, model=None):
        here = point["study"] == left["study"] and point["task"] == left["task"]
        there = point["study"] == "literature" and point["task"] == data["start"]["literature"]
        there = there and model in (None, point["model"])
        return (here or there) and (methods is None or point["method"] in methods)

    assert front_in_list() == expected("params_percent", "accuracy", shown)
    fills = [page.locator(".panel").nth(i).locator("g.point path").first.get_attribute("fill") for i in (0, 1)]
    assert fills[0] != fills[1] == "#fff"
    assert explorer.locator("circle.ring").count() == front_in_list()[0]
    for name in ("LoReFT", "LoReFT (3 epochs)", "DiReFT"):
        explorer.get_by_label(name, exact=True).uncheck()
    kept = {m["name"] for m in data["methods"]} - {"LoReFT", "LoReFT (3 epochs)", "DiReFT"}
    assert front_in_list() == expected("params_percent", "accuracy", lambda p: shown(p, kept))
    right.get_by_label("Model").select_option("LLaMA-7B")
    assert front_in_list() == expected("params_percent", "accuracy", lambda p: shown(p, kept, "LLaMA-7B"))
    explorer.get_by_label("Across").select_option("memory_bytes")
    assert front_in_list() == expected("memory_bytes", "accuracy", lambda p: shown(p, kept, "LLaMA-7B"))
    explorer.get_by_label("Up").select_option("seconds")
    assert front_in_list() == expected("memory_bytes", "seconds", lambda p: shown(p, kept, "LLaMA-7B"))
    assert right.get_by_role("status").inner_text() == "No point has both metrics under these filters."
    assert page.said == []


def test_an_axis_of_the_explorer_has_several_ticks_however_narrow(open_report):
    page = open_report()
    explorer, left = page.locator("#explorer"), page.locator(".panel").first
    left.get_by_label("Study").select_option("adaptation")
    drawn = set()
    for task in left.get_by_label("Task").locator("option").all_inner_texts():
        left.get_by_label("Task").select_option(task)
        for metric in ("seconds", "memory_bytes", "trainable_params", "params_percent"):
            explorer.get_by_label("Across").select_option(metric)
            texts = left.locator("svg.chart text[text-anchor=middle]").all_text_contents()
            # What was not measured of a task is not drawn; two texts are the axes' names.
            assert not texts or len(set(texts)) == len(texts) >= 4, (task, metric, texts)
            drawn |= {metric} if texts else set()
    assert len(drawn) == 4


def test_a_preset_chooses_the_cheapest_method_near_full(open_report):
    page = open_report()
    data = json.loads(page.locator("#explorer-data").inner_text())
    start = data["start"]["encoder"]
    own = [point for point in data["points"] if (point["study"], point["task"]) == ("encoder", start)]
    assert all("against_full" in point for point in own)
    rivals = [point for point in own if point["method"] != "full"]
    # The whole interval above -2 shows it; the mean alone is a hint.
    shown = [point for point in rivals if point["against_full"][1] >= -2]
    hints = [point for point in rivals if point["against_full"][0] >= -2]
    page.get_by_role("button", name="Cheapest within 2 points of full").click()
    said = page.locator(".panel .readout").first.inner_text()
    assert f"above -2: {len(shown)} of {len(rivals)} settings." in said
    assert ("no more than a hint" in said) == (not shown and bool(hints))
    if shown or hints:
        cheapest = min(shown or hints, key=lambda point: point["values"]["params_percent"])
        assert ", ".join(filter(None, (cheapest["method"], cheapest["setting"]))) in said
    page.get_by_role("button", name="Best rates").click()
    assert page.locator("#explorer").get_by_label("Across").input_value() == "learning_rate"
    assert page.locator("#explorer circle.ring").count() == 0
    assert page.said == []


def test_the_table_of_methods_shows_one_task_and_sorts(open_report):
    page = open_report()
    box = page.locator("#method-table")
    titles = box.locator(".methodtask").evaluate_all("all => all.map((task) => task.dataset.title)")
    assert len(titles) > 3
    for place in (0, len(titles) - 1):
        box.get_by_label("Task").select_option(str(place))
        shown = box.locator(".methodtask:visible")
        assert shown.count() == 1
        assert shown.get_attribute("data-title") == titles[place]
    box.get_by_label("Task").select_option("0")
    table = box.locator(".methodtask:visible table")
    column = table.get_by_role("columnheader").all_inner_texts().index("weights trained") + 1
    table.get_by_role("button", name="weights trained").click()
    shares = [float(text.removesuffix(" %")) for text in rows_of(table, column)]
    assert shares == sorted(shares)
    assert len(shares) > 2


def test_a_phone_shows_the_main_columns_of_the_table_until_asked_for_all(open_report):
    page = open_report(375)
    table = page.locator("#method-table .methodtask:visible table")
    assert not table.get_by_role("columnheader", name="memory").is_visible()
    assert table.get_by_role("columnheader", name="best rate").is_visible()
    page.get_by_role("button", name="all columns").click()
    assert table.get_by_role("columnheader", name="memory").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_first_screen_advises(open_report):
    page = open_report()
    assert page.locator("h1").inner_text() == "Which PEFT method, rank and learning rate?"
    cards = page.locator(".advice li")
    assert 3 <= cards.count() <= 5
    assert cards.first.bounding_box()["y"] < 400
    assert all("Based on" in text for text in cards.all_inner_texts())
    assert page.get_by_role("heading", name="What this does not show").is_visible()


def test_the_keyboard_reaches_everything(open_report):
    page = open_report()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answers"
    chart = page.locator(".panel svg.chart").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator(".panel .readout").first.inner_text()
    page.keyboard.press("ArrowRight")
    second = page.locator(".panel .readout").first.inner_text()
    assert first != second
    assert "Measured here" in first
    assert "[" in first
    assert chart.locator(".chosen").count() == 1


def test_a_number_shows_the_rows_behind_it(open_report):
    page = open_report()
    link = page.locator("#answer-gain").locator("..").locator("a.rows").first
    link.focus()
    card = page.locator(".card")
    assert "encoder_primary" in card.inner_text()
    page.keyboard.press("Escape")
    assert card.count() == 0
    link.click()
    target = page.evaluate("document.querySelector(location.hash).textContent")
    assert "contrasts: question=encoder_primary" in target
    assert "difference" in target


def test_it_prints_without_cutting_a_figure(open_report, tmp_path):
    page = open_report(688)
    page.emulate_media(media="print")
    # A4 less the margins of @page, at 96 dots an inch: 182 x 265 mm.
    boxes = page.evaluate("[...document.querySelectorAll('figure')].map(f => [f.offsetWidth, f.offsetHeight])")
    assert boxes
    assert all(width <= 688 and height <= 1001 for width, height in boxes)
    avoided = page.evaluate("[...document.querySelectorAll('figure')].map(f => getComputedStyle(f).breakInside)")
    assert set(avoided) == {"avoid"}
    hidden = page.evaluate(
        "[...document.querySelectorAll('.contents, .doors, .tools, .explorer')].map(e => getComputedStyle(e).display)"
    )
    assert set(hidden) == {"none"}
    assert page.evaluate("[...document.querySelectorAll('.tall')].every(e => e.scrollHeight <= e.clientHeight + 1)")
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_a_script_all_is_there_but_the_explorer(open_report):
    page = open_report(java_script_enabled=False)
    assert page.locator("section:has(#recomputed) tbody tr").count() > 20
    assert page.locator("#explorer").inner_text().startswith("The explorer needs JavaScript")
