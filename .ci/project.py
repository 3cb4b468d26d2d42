"""The Quarto project in a folder, checked without Quarto: its configuration, menu, front matter, links and anchors.

What is checked are sources, as Quarto reads them: pages (.ipynb, .qmd, .md), not what another program renders of them.
"""
import json
import re
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

PAGES = (".ipynb", ".qmd", ".md")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?^ {0,3}\1`*\s*$", re.M | re.S)
LINK = re.compile(r"(?<!\\)\]\(<?([^()\s<>]+(?:\([^()\s]*\)[^()\s]*)?)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$", re.M)
GIVEN = re.compile(r"\{[^{}]*#([\w.:-]+)[^{}]*\}\s*$")
HTML_ID = re.compile(r"""\b(?:id|name)=["']([^"']+)["']""")
HTML_LINK = re.compile(r"""<(?:a|img)\b[^>]*?\b(?:href|src)=["']([^"']+)["']""")


def slug(heading: str) -> str:
    "Pandoc's identifier of a heading."
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    text = re.sub(r"<[^>]+>", "", text).replace("`", "").lower()
    text = re.sub(r"[^\w\s.-]", "", text)
    text = re.sub(r"\s+", "-", text.strip())
    return re.sub(r"^[^a-zà-ÿ]+", "", text) or "section"


def prose(text: str) -> str:
    "Markdown without its code."
    return re.sub(r"(`+)(?:.(?!\n\n))*?.?\1", "", FENCE.sub("", text))


def anchors_of(text: str) -> set[str]:
    "Identifiers that a piece of Markdown makes; of headings of one name the later ones are numbered."
    found: list[str] = []
    for heading in HEADING.findall(FENCE.sub("", text)):
        given = GIVEN.search(heading)
        name = given[1] if given else slug(heading)
        if name in found: name = f"{name}-{found.count(name)}"
        found.append(name)
    return {*found, *HTML_ID.findall(text), *re.findall(r"\{#([\w.:-]+)[^{}]*\}", text)}


class Page:
    "A source of a page: its front matter, its Markdown, what it links to."
    def __init__(self, path: Path): self.path = path

    @cached_property
    def cells(self) -> list[dict]:
        if self.path.suffix == ".ipynb": return json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        return [dict(cell_type="markdown", source=self.path.read_text(encoding="utf-8"))]

    def check_front_matter(self) -> None:
        "Raises `ValueError` where there is none, or it is no mapping with a title."
        first = "".join(self.cells[0]["source"]) if self.cells else ""
        found = re.match(r"---\n(.*?)\n---\s*(\n|$)", first, re.S)
        if not found: raise ValueError("no front matter")
        try: given = yaml.safe_load(found[1])
        except yaml.YAMLError as error: raise ValueError(f"front matter that is no YAML: {error}") from None
        if not isinstance(given, dict) or not isinstance(given.get("title"), str): raise ValueError("no title")

    @cached_property
    def texts(self) -> list[str]:
        "Markdown of its cells and of their outputs."
        found = ["".join(cell["source"]) for cell in self.cells if cell["cell_type"] == "markdown"]
        for output in (o for cell in self.cells for o in cell.get("outputs", [])):
            data = output.get("data", {})
            if "text/markdown" in data: found.append("".join(data["text/markdown"]))
        return found

    @cached_property
    def anchors(self) -> set[str]:
        # a notebook's headings are numbered over all of its cells
        return anchors_of("\n\n".join(self.texts))

    @cached_property
    def links(self) -> list[str]:
        return [link for text in self.texts for link in (*LINK.findall(prose(text)), *HTML_LINK.findall(prose(text)))]


def source_of(target: Path) -> Path:
    "The source that a link to a rendered page means."
    if target.is_dir(): target = target/"index.html"
    if target.suffix != ".html": return target
    return next((p for p in map(target.with_suffix, PAGES) if p.is_file()), target)


def link_fault(root: Path, page: Path, link: str, pages: dict[Path, Page]) -> str:
    "Why a link of a page leads nowhere; empty where it leads somewhere, or out of the project."
    parts = urlsplit(link)
    if parts.scheme or parts.netloc: return ""
    at = root if parts.path.startswith("/") else page.parent
    target = source_of((at/unquote(parts.path).lstrip("/")).resolve()) if parts.path else page
    if not target.is_file(): return "no such file"
    if not parts.fragment or target not in pages: return ""
    return "" if unquote(parts.fragment) in pages[target].anchors else "no such anchor"


def configuration(root: Path) -> dict:
    "`_quarto.yml` and the files it names. Raises `ValueError` for one that is missing or no mapping."
    whole: dict = {}
    names = ["_quarto.yml"]
    while names:
        path = root/names.pop(0)
        if not path.is_file(): raise ValueError(f"{path.name}: no such file")
        try: given = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error: raise ValueError(f"{path.name}: {error}") from None
        if not isinstance(given, dict): raise ValueError(f"{path.name}: no mapping")
        names += given.pop("metadata-files", [])
        whole = merged(whole, given)
    return whole


def merged(one: dict, two: dict) -> dict:
    "Two mappings; where both hold a mapping, those are merged."
    out = dict(one)
    for key, value in two.items():
        both = isinstance(out.get(key), dict) and isinstance(value, dict)
        out[key] = merged(out[key], value) if both else value
    return out


def named(entries) -> list[str]:
    "Pages that a menu names, at any depth."
    found = []
    for entry in entries or []:
        if isinstance(entry, str): found.append(entry)
        elif isinstance(entry, dict):
            found += [entry[key] for key in ("href", "file") if key in entry]
            found += named(entry.get("contents") or entry.get("menu"))
    return found


def menu_faults(root: Path, settings: dict) -> list[str]:
    "What menus and settings name that is not there."
    website = settings.get("website", {})
    bar = website.get("navbar", {})
    entries = named(website.get("sidebar", {}).get("contents")) + named(bar.get("left")) + named(bar.get("right"))
    if not entries: return ["_quarto.yml: the menu is empty"]
    faults = [f"menu: no such page: {e}" for e in entries if not urlsplit(e).scheme and not (root/e).is_file()]
    page = settings.get("format", {}).get("html", {})
    for key in ("css", "include-in-header", "include-after-body"):
        files = page.get(key, [])
        names = [files] if isinstance(files, str) else [f for f in files if isinstance(f, str)]
        faults += [f"{key}: no such file: {name}" for name in names if not (root/name).is_file()]
    return faults


def page_faults(root: Path, path: Path, pages: dict[Path, Page]) -> list[str]:
    here, faults = path.relative_to(root), []
    try: pages[path].check_front_matter()
    except ValueError as error: faults.append(f"{here}: {error}")
    for link in pages[path].links:
        fault = link_fault(root, path, link, pages)
        if fault: faults.append(f"{here}: {fault}: {link}")
    return faults


def check(root: Path) -> tuple[list[str], str]: # faults, and what was checked in words
    "All that can be said of a Quarto project without Quarto."
    root = root.resolve()
    try: settings = configuration(root)
    except ValueError as error: return [str(error)], ""
    paths = [p for p in sorted(root.rglob("*")) if p.suffix in PAGES and "figures" not in p.relative_to(root).parts]
    pages = {path: Page(path) for path in paths}
    faults = menu_faults(root, settings)
    for path in paths: faults += page_faults(root, path, pages)
    links = sum(len(page.links) for page in pages.values())
    return faults, f"{len(pages)} sources with {links:,} links"
