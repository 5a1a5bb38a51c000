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
TOLERANCE = 5
SAMPLE = 8


def go(page, link):
    """Click a link from the top of the page and return the name of its target."""
    page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
    link.click()
    return link.get_attribute("href").removeprefix("#")


def missed(page, name):
    """Wait until the page is still, and return where it is if more than 5 px off a target and not at its end."""
    page.evaluate(SETTLED)
    off, left = page.evaluate(MISSED, name)
    at_end = left < TOLERANCE and off > 0
    return None if abs(off) <= TOLERANCE or at_end else (name, off)


def links_of(page):
    """Return every link of the contents and the doors, and some of those to evidence."""
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "smooth"
    # On a phone the contents start closed.
    page.evaluate("document.querySelector('.contents details').open = true")
    contents, evidence = page.locator(".contents a, .doors a").all(), page.locator("main a.rows").all()
    links = [*contents, *evidence[:: max(1, len(evidence) // SAMPLE)]]
    assert len(contents) > 10
    assert len(links) > len(contents) + 4
    return links


def test_links_land_where_they_point_under_smooth_scrolling(open_report):
    pages = [open_report(width, reduced_motion="no-preference") for width in (1280, 375)]
    # Both pages scroll at the same time, since most of the time is waiting for them.
    for links in zip(*map(links_of, pages), strict=True):
        names = [go(page, link) for page, link in zip(pages, links, strict=True)]
        assert [missed(page, name) for page, name in zip(pages, names, strict=True)] == [None, None]


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
        name = go(page, link)
        assert page.evaluate(behaviour) == expected
        assert missed(page, name) is None
