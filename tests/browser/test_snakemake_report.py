"""Snakemake's own report of the smoke study, opened in a browser."""

import pytest


@pytest.mark.slow
def test_snakemakes_own_report_needs_no_network(project, browser):
    done = project.snakemake("--report", "own.html")
    assert done.returncode == 0, done.stdout
    path = project.folder / "own.html"
    text = path.read_text(encoding="utf-8")
    for word in ("measured", "published", "recomputed", "configuration used", "Drawn from summary, contrasts"):
        assert word in text
    page = browser.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri(), wait_until="load")
    page.get_by_text("published", exact=True).first.wait_for(timeout=20_000)
    page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
