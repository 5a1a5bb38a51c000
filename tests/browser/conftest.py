"""A browser, and the smoke study's report opened in it; only these tests need Playwright."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

# As root and without a network; the second group keeps Chromium from calling home.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def browser():
    """Return a running Chromium; where there is none the test is skipped, or fails if PEFT_ATLAS_REQUIRE_ALL is set."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        reason = "no chromium on this machine: apt-get install chromium"
        (pytest.fail if os.environ.get("PEFT_ATLAS_REQUIRE_ALL") else pytest.skip)(reason)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def report(smoked):
    """Return the path of the smoke study's report."""
    return smoked.folder / "results/report.html"


@pytest.fixture
def open_report(browser, report):
    """Return a function that opens the report and notes what its console says and what it asks for."""
    contexts = []

    def opened(width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(report.as_uri(), wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()
