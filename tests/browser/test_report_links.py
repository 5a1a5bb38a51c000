"""Links of the report, clicked in a browser that scrolls smoothly: each must land on the place it names."""

import pytest

pytestmark = pytest.mark.slow

# Resolves once the page has not scrolled for a quarter of a second.
SETTLED = """() => new Promise((done) => {
  let last = -1, still = 0;
  const look = () => {
    still = window.scrollY === last ? still + 1 : 0;
    last = window.scrollY;
    still > 15 ? done() : requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
# How far the target is from where scroll-padding-top puts it, and how far the page could still scroll down.
MISSED = """(id) => {
  const root = document.documentElement;
  const wanted = parseFloat(getComputedStyle(root).scrollPaddingTop);
  const left = root.scrollHeight - window.innerHeight - window.scrollY;
  return [document.getElementById(id).getBoundingClientRect().top - wanted, left];
}"""
LINKS = "[...document.querySelectorAll('.contents a, .doors a, main a.rows')]"
# Clicks one link after the other, each from the top of the page, and returns where each came to rest. It runs in the
# page, so that all pages scroll at the same time and nothing asks for their state while they do.
CLICKED = f"""(places) => {{
  window.rested = (async () => {{
    const settled = {SETTLED}, missed = {MISSED}, links = {LINKS}, found = [];
    for (const place of places) {{
      const target = links[place].getAttribute('href').slice(1);
      window.scrollTo({{top: 0, behavior: 'instant'}});
      links[place].click();
      await settled();
      found.push([target, ...missed(target)]);
    }}
    return found;
  }})();
}}"""
TOLERANCE = 5
SAMPLE = 8


def is_missed(off, left):
    """Return whether a page came to rest more than 5 px off a target and not at its end."""
    at_end = left < TOLERANCE and off > 0
    return abs(off) > TOLERANCE and not at_end


def links_of(page):
    """Return the places of the links in the contents and the doors, and of some of those to evidence."""
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "smooth"
    # On a phone the contents start closed.
    page.evaluate("document.querySelector('.contents details').open = true")
    to_rows = page.evaluate(f"{LINKS}.map((link) => link.matches('main a.rows'))")
    contents, evidence = ([place for place, rows in enumerate(to_rows) if rows == wanted] for wanted in (False, True))
    links = [*contents, *evidence[:: max(1, len(evidence) // SAMPLE)]]
    assert len(contents) > 10
    assert len(links) > len(contents) + 4
    return links


def test_links_land_where_they_point_under_smooth_scrolling(open_report):
    pages = [open_report(width, reduced_motion="no-preference") for width in (1280, 1280, 375, 375)]
    # Two pages of a width share its links.
    shares = [links_of(page)[number % 2 :: 2] for number, page in enumerate(pages)]
    for page, links in zip(pages, shares, strict=True):
        page.evaluate(CLICKED, links)
    rested = [landing for page in pages for landing in page.evaluate("window.rested")]
    assert len(rested) == sum(map(len, shares))
    assert [target for target, *place in rested if is_missed(*place)] == []


def test_every_picture_has_its_size_before_it_is_decoded(open_report):
    page = open_report()
    sizes = page.evaluate(
        "[...document.images].map((i) => [i.getAttribute('width'), i.getAttribute('height'), "
        "i.getBoundingClientRect().width / i.getBoundingClientRect().height])"
    )
    assert sizes
    assert all(abs(int(width) / int(height) - ratio) < 0.01 * ratio for width, height, ratio in sizes)


def test_a_link_to_what_is_more_than_two_screens_away_jumps(open_report):
    page = open_report(reduced_motion="no-preference")
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    far, near = page.locator(".contents a[href='#evidence']"), page.locator(".doors a[href='#methods']")
    for link, expected in ((far, "auto"), (near, "smooth"), (far, "auto")):
        page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
        link.click()
        assert page.evaluate(behaviour) == expected
        page.evaluate(SETTLED)
        assert not is_missed(*page.evaluate(MISSED, link.get_attribute("href").removeprefix("#")))
