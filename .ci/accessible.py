"""The documentation site in a browser, opened from the disk: accessible, readable on a phone, searchable without a server.

    python .ci/accessible.py                     ten pages of _docs, light and dark, at two widths
    python .ci/accessible.py PAGE...             these pages (such as docs/names.html)
    python .ci/accessible.py --screenshots DIR   keep a picture of each

axe-core is no part of the repository: it is read from the wheel of axe-playwright-python that `make setup` downloads into
$MEDBRIDGE_WHEELS. Without it, without Chromium or without `_docs`, the script says what is missing and passes.
"""
import argparse
import os
import sys
import zipfile
from pathlib import Path

from lab import FLAGS, ROOT, find_browser

SITE = ROOT/"_docs"
PAGES = ("index.html", "docs/install.html", "docs/contributing.html", "docs/command.html", "docs/names.html",
         "docs/results.html", "docs/datasets.html", "docs/method.html", "tutorials/own_data.html", "core/reading/explain.html")
SCHEMES = ("light", "dark")
WIDTHS = (1280, 360)
BAD = ("serious", "critical")
# axe's rules that hold for a page, not for what a person may do with it
RULES = dict(resultTypes=["violations"], runOnly=["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"])
# blocks that scroll sideways inside themselves on a narrow page, and by how much; code, tables and equations may
INSIDE = """() => [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1
  && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)).map(e => e.tagName.toLowerCase())"""


def axe_core() -> str | None:
    "The script, where the set-up has brought it."
    folder = Path(os.environ.get("MEDBRIDGE_WHEELS", ROOT/".venv/wheels"))
    for wheel in sorted(folder.glob("axe_playwright_python-*.whl")):
        with zipfile.ZipFile(wheel) as packed: return packed.read("axe_playwright_python/axe.min.js").decode("utf-8")
    return None


def findings(page, axe: str) -> list[str]:
    "What axe-core calls serious or critical on the open page."
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    out = []
    for violation in found["violations"]:
        if violation["impact"] not in BAD: continue
        nodes = violation["nodes"]
        first = nodes[0]["html"][:160].replace("\n", " ")
        why = (nodes[0].get("failureSummary") or "").replace("\n", " ")[:220]
        out.append(f"{violation['impact']}: {violation['id']}, {len(nodes)} times, first {first} ({why})")
    return out


def opened(browser, name: str, scheme: str, width: int):
    page = browser.new_page(viewport=dict(width=width, height=900), color_scheme=scheme)
    page.goto((SITE/name).as_uri())
    page.wait_for_load_state("load")
    page.wait_for_timeout(150)   # smalldocs reads the theme's background after 50 ms
    return page


class Report:
    def __init__(self): self.results: list[bool] = []

    def __call__(self, name: str, faults: list[str]) -> None:
        self.results.append(not faults)
        print(f"{'FAIL' if faults else 'pass'}  {name}", flush=True)
        for fault in faults: print(f"      {fault}", flush=True)


def visit(browser, name: str, axe: str, shots: Path | None) -> list[str]:
    "Faults of one page in both colour schemes and at both widths."
    faults = []
    for scheme in SCHEMES:
        for width in WIDTHS:
            page, where = opened(browser, name, scheme, width), f"{scheme}, {width} px"
            faults += [f"{where}: {found}" for found in findings(page, axe)]
            across = page.evaluate("document.documentElement.scrollWidth")
            if across > width: faults.append(f"{where}: the page scrolls sideways, {across} px")
            inside = set(page.evaluate(INSIDE))
            if name.endswith("names.html") and inside: faults.append(f"{where}: scroll sideways: {sorted(inside)}")
            if shots: page.screenshot(path=shots/f"{name.replace('/', '-').removesuffix('.html')}-{scheme}-{width}.png")
            page.close()
    return faults


def search(browser, axe: str, scheme: str, shots: Path | None) -> list[str]:
    "Faults of the search box: it must find, on a page from the disk, and its findings must be readable."
    page = opened(browser, "docs/install.html", scheme, 1280)
    box = page.locator(".smalldocs-search input").first
    box.fill("InputError")
    results = page.locator(".search-result")
    try: results.first.wait_for(timeout=20_000)
    except Exception: return ["nothing was found for 'InputError'"]
    faults = findings(page, axe)
    if shots: page.screenshot(path=shots/f"search-{scheme}.png")
    page.keyboard.press("ArrowDown")
    leads = page.locator(".search-result.active").get_attribute("href") or ""
    target = (SITE/"docs"/leads.split("#")[0]).resolve()
    if not target.is_file(): faults.append(f"a result leads nowhere: {leads}")
    page.keyboard.press("Enter")
    try: page.wait_for_url(f"{target.as_uri()}**", timeout=20_000)
    except Exception: faults.append(f"a result was chosen, and its page did not open: {leads}")
    page.close()
    return faults


def missing() -> str:
    "What this check lacks, in words; empty where all is there."
    try: import playwright  # noqa: F401
    except ImportError: return "playwright is not installed (pip install playwright)"
    if find_browser() is None: return "no Chromium was found (apt install chromium)"
    if axe_core() is None: return "axe-core is not there (make setup, with a package index)"
    if not (SITE/"index.html").is_file(): return "there is no _docs (make docs)"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", default=PAGES)
    parser.add_argument("--screenshots", type=Path, help="folder for pictures")
    given = parser.parse_args()
    lacks = missing()
    if lacks:
        print(f"NOTICE  the accessibility of the documentation was not checked: {lacks}")
        return 0
    from playwright.sync_api import sync_playwright
    if given.screenshots: given.screenshots.mkdir(parents=True, exist_ok=True)
    axe, report = axe_core(), Report()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=find_browser(), args=FLAGS)
        for name in given.pages:
            report(f"{name}: accessible, light and dark, on a desk and a phone", visit(browser, name, axe, given.screenshots))
        if (SITE/"search.js").is_file():                       # Quarto's own search needs a server
            for scheme in SCHEMES:
                report(f"search works from the disk and is readable, {scheme}", search(browser, axe, scheme, given.screenshots))
        browser.close()
    print(f"{sum(report.results)} passed, {len(report.results) - sum(report.results)} failed")
    return 0 if all(report.results) else 1


if __name__ == "__main__": sys.exit(main())
