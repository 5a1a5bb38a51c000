"""The smoke study's report, opened in a browser."""

import pytest


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
