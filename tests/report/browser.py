#!/usr/bin/env python3
"""Opens pages of reports in headless Chromium and tells what it saw, as JSON.

    browser.py CHROMIUM PAGE…
"""
import json
import pathlib
import sys

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

# A canvas counts as drawn when it has lines, letters and a series: more than a few colours that are not its ground.
DRAWN = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) colours.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
  return colours.size > 8;
}"""


def open_page(browser, page_file, scheme):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    seen = {"console": [], "requests": []}
    page.on("console", lambda message: seen["console"].append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen["console"].append(f"error: {error}"))
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.goto(page_file.as_uri())
    return page, seen


def look(browser, page_file, scheme):
    page, seen = open_page(browser, page_file, scheme)
    canvases = page.query_selector_all("canvas")
    drawn = 0
    for canvas in canvases:
        canvas.scroll_into_view_if_needed()
        page.wait_for_function("canvas => Chart.getChart(canvas) !== undefined", arg=canvas)
        drawn += canvas.evaluate(DRAWN)
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true; })")
    violations = [
        f"{it['id']}: {it['help']}: {it['nodes'][0]['html'][:200]}" for it in Axe().run(page).response["violations"]
    ]
    facts = {
        "canvases": len(canvases),
        "drawn": drawn,
        "ground": page.evaluate("getComputedStyle(document.documentElement).backgroundColor"),
        "injected": page.evaluate("window.injected !== undefined"),
        "wider_than_window": page.evaluate("document.documentElement.scrollWidth > innerWidth"),
        "violations": violations,
        # What a screen reader is told of plots.
        "unnamed": sum(not (canvas.get_attribute("aria-label") or "").strip() for canvas in canvases),
    }
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = false; })")
    paper = page.pdf(format="A4", prefer_css_page_size=True)
    facts["paper_bytes"] = len(paper)
    # Printing leaves the screen as it was.
    facts["folded_after_paper"] = page.evaluate("document.querySelectorAll('details[open]').length === 0")
    # What is drawn for paper is dark on light, whatever the screen.
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    facts["ink"] = page.evaluate("Chart.getChart(document.querySelector('canvas'))?.options.scales.x.ticks.color ?? ''")
    page.context.close()
    return facts | seen


def without_scripts(browser, page_file):
    """The page is whole without scripts, but for its plots."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    text = page.inner_text("body")
    context.close()
    return {"says_so": "Plots need scripts" in text, "has_numbers": "GB/s" in text}


def main():
    chromium, pages = sys.argv[1], [pathlib.Path(page).resolve() for page in sys.argv[2:]]
    with sync_playwright() as playwright:
        # As root, and in containers, Chromium has no sandbox of its own; what it opens here is ours.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        facts = {
            page.name: {scheme: look(browser, page, scheme) for scheme in ("light", "dark")}
            | {"without_scripts": without_scripts(browser, page)}
            for page in pages
        }
        facts["version"] = browser.version
        browser.close()
    json.dump(facts, sys.stdout, indent=1)


main()
