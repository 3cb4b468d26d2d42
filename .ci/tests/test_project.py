"A Quarto project is read without Quarto: what is wrong in it is found, and what is right is not complained of."
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from project import Page, anchors_of, check, configuration, link_fault, prose, slug, source_of  # noqa: E402

HEAD = "---\ntitle: A page\n---\n"
QUARTO = """project: {type: website}
format: {html: {css: styles.css}}
website: {navbar: {left: [{text: A, href: docs/a.qmd}]}}
metadata-files: [sidebar.yml]
"""
SIDEBAR = "website: {sidebar: {contents: [index.ipynb, {section: Docs, contents: [docs/a.qmd]}]}}\n"
FIRST = "## Use `it` well\n[next](docs/a.html#the-end) [it](#use-it-well) [out](https://e.org/x)\n"


def cell(source, kind="markdown", **more): return dict(cell_type=kind, source=source.splitlines(True), **more)


@pytest.fixture
def project(tmp_path):
    shown = dict(data={"text/markdown": ["### heatmap\n", "[source](docs/a.qmd)"]})
    cells = [cell(HEAD, "raw"), cell(FIRST), cell("x = '[no](gone.html)'", "code", outputs=[shown])]
    (tmp_path/"docs").mkdir()
    (tmp_path/"_quarto.yml").write_text(QUARTO)
    (tmp_path/"sidebar.yml").write_text(SIDEBAR)
    (tmp_path/"styles.css").write_text("")
    (tmp_path/"index.ipynb").write_text(json.dumps(dict(cells=cells)))
    (tmp_path/"docs/a.qmd").write_text(HEAD + "# The end\n[up](../index.ipynb#heatmap)\n")
    return tmp_path


def test_a_sound_project(project):
    faults, words = check(project)
    assert faults == [] and words == "2 sources with 5 links"


@pytest.mark.parametrize("file, old, new, fault", [
    ("docs/a.qmd", "title: A page", "title: [", "docs/a.qmd: front matter that is no YAML"),
    ("docs/a.qmd", "title: A page", "order: 1", "docs/a.qmd: no title"),
    ("docs/a.qmd", "---\ntitle", "title", "docs/a.qmd: no front matter"),
    ("docs/a.qmd", "#heatmap", "#heatmop", "docs/a.qmd: no such anchor: ../index.ipynb#heatmop"),
    ("docs/a.qmd", "# The end", "# Their end", "index.ipynb: no such anchor: docs/a.html#the-end"),
    ("docs/a.qmd", "../index.ipynb", "index.ipynb", "docs/a.qmd: no such file: index.ipynb#heatmap"),
    ("sidebar.yml", "docs/a.qmd", "docs/b.qmd", "menu: no such page: docs/b.qmd"),
    ("_quarto.yml", "docs/a.qmd", "docs/c.qmd", "menu: no such page: docs/c.qmd"),
    ("_quarto.yml", "styles.css", "style.css", "css: no such file: style.css"),
    ("_quarto.yml", "css: styles.css", "include-after-body: x.html", "include-after-body: no such file: x.html"),
    ("_quarto.yml", "sidebar.yml", "other.yml", "other.yml: no such file"),
    ("_quarto.yml", "project: {", "project: [", "_quarto.yml: "),
    ("sidebar.yml", SIDEBAR, "- a\n", "sidebar.yml: no mapping")])
def test_a_fault_is_named(project, file, old, new, fault):
    path = project/file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    faults, _ = check(project)
    assert [f for f in faults if f.startswith(fault)], faults


def test_an_empty_menu_is_a_fault(project):
    (project/"sidebar.yml").write_text("other: {}\n")
    (project/"_quarto.yml").write_text("metadata-files: [sidebar.yml]\n")
    assert "_quarto.yml: the menu is empty" in check(project)[0]
    assert configuration(project) == dict(other={})


def test_identifiers_are_pandocs():
    names = {"The `fit` of [a model](x.html)": "the-fit-of-a-model", "AUROC, by size?": "auroc-by-size", "2. Größe": "größe",
             "1": "section", "a.b_c - d": "a.b_c---d", "<b>Bold</b> move!": "bold-move"}
    for heading, name in names.items(): assert slug(heading) == name
    text = "# One\n## One\n### Two {.x #own}\n```\n# code\n```\n<a id='here'></a>\n[s]{#span}\n"
    assert anchors_of(text) == {"one", "one-1", "own", "here", "span"}


def test_code_holds_no_links():
    assert prose("a `[x](y)` b\n```\n[x](z)\n```\nc") == "a  b\n\nc"


def test_where_a_link_leads(project):
    a = project/"docs/a.qmd"
    pages = {a: Page(a)}
    assert source_of(project/"docs/a.html") == a and source_of(project/"x.html") == project/"x.html"
    for link in ("/docs/a.qmd", "#the-end", "mailto:a@b", "//e.org/x", "/index.html", "/styles.css#x"):
        assert link_fault(project, a, link, pages) == "", link
    assert link_fault(project, a, "#gone", pages) == "no such anchor"
