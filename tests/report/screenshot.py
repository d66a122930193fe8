#!/usr/bin/env python3
"""A picture of the first screens of a report, in light.

    screenshot.py CHROMIUM PAGE PNG
"""
import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

# As far as the first plot, small enough for a README.
SIZE = {"width": 1000, "height": 1640}
SCALE = 0.72


def main():
    chromium, page_file, picture = shutil.which(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(color_scheme="light", viewport=SIZE, device_scale_factor=SCALE).new_page()
        page.goto(page_file.as_uri())
        page.wait_for_function("[...document.querySelectorAll('canvas')].slice(0, 1).every(it => Chart.getChart(it) !== undefined)")
        page.screenshot(path=picture)
        browser.close()


main()
