"""The documentation site in `_docs`, from the notebooks: by Quarto where it is installed, by smalldocs where it is not. It installs nothing.

1. nbs/ becomes a Quarto project in `_proc`; signatures come from the exported modules, no cell is run (medbridge.reproduction.notebooks);
2. pages made from facts join it: results (figures/), data sets (the registry), the command line (its grammar), every public
   name (medbridge.reproduction.site), and CONTRIBUTING.md and CHANGELOG.md as they are;
3. the project's sources are checked: configuration, menu, front matter, links and anchors (project.py), whatever renders them;
4. the site is rendered, equations become MathML (readable without JavaScript), search needs no server, and every internal
   link, anchor and file of the pages is checked.
"""
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NBS, PROC, SITE = ROOT/"nbs", ROOT/"_proc", ROOT/"_docs"
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))
os.environ.update(IN_TEST="1", MEDBRIDGE_QUIET="1", HF_HUB_OFFLINE="1")

import yaml
from execnb.nbio import write_nb
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml

import project
from medbridge import cli
from medbridge.reproduction import notebooks, site

# what CONTRIBUTING.md links to and the site holds
PAGES_OF_FILES = {"CHANGELOG.md": "changelog.qmd", "README.md": "../index.ipynb",
                  **{f"nbs/core/{p.parent.name}": f"../core/{p.parent.name}/package.ipynb" for p in NBS.glob("core/*/package.ipynb")}}
# and what README.md links to
PAGES_OF_LINKS = {"figures/README.md": "docs/results.qmd", "CONTRIBUTING.md": "docs/contributing.qmd"}


def in_repository() -> str:
    "Address of the checkout's root, where the repository is read."
    config = get_config()
    return f"{config.git_url}/blob/{config.branch}/"


def write_page(source: Path) -> None:
    "A file of nbs/ in _proc/: a notebook as a page, any other as it is."
    target = PROC/source.relative_to(NBS)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".ipynb":
        shutil.copy2(source, target)
        return
    write_nb(notebooks.page(source), target)
    up = "../"*len(source.relative_to(NBS).parent.parts)
    text = target.read_text(encoding="utf-8").replace(notebooks.site_address(), up)
    if source == NBS/"index.ipynb":                                       # its links are those of README.md
        for file, page in PAGES_OF_LINKS.items(): text = text.replace(f"]({file})", f"]({page})")
        text = text.replace("](nbs/", "](").replace("](CITATION.cff)", f"]({in_repository()}CITATION.cff)")
    target.write_text(text, encoding="utf-8")


def shown(path: Path) -> bool:
    "Whether a file of nbs/ belongs to the site: hidden folders, of Jupyter's and of a test's, do not."
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(NBS).parts)


def process() -> None:
    refresh_quarto_yml()
    shutil.rmtree(PROC, ignore_errors=True)
    for source in sorted(filter(shown, NBS.rglob("*"))): write_page(source)


def from_file(name: str, description: str) -> str:
    "A Markdown file of the checkout as a page; what the site does not hold is linked to in the repository."
    return site.file_page(ROOT/name, description, PAGES_OF_FILES, in_repository())


def add_pages() -> None:
    (PROC/"docs").mkdir(exist_ok=True)
    pages = dict(results=site.results_page(ROOT), datasets=site.data_sets_page(), names=site.names_page(),
                 command=site.command_page(cli.parser()),
                 contributing=from_file("CONTRIBUTING.md", "How a change is made, tested and written down."),
                 changelog=from_file("CHANGELOG.md", "What changed, version by version."))
    for name, text in pages.items(): (PROC/f"docs/{name}.qmd").write_text(text, encoding="utf-8")
    for folder in (p for p in (ROOT/"figures").iterdir() if p.is_dir()): shutil.copytree(folder, PROC/"figures"/folder.name, dirs_exist_ok=True)
    for text in (PROC/"figures").rglob("*.md"): text.unlink()             # tables stand on the page of results


def sidebar() -> None:
    path = PROC/"sidebar.yml"
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    whole = given["website"]["sidebar"]
    whole["contents"] = site.menu(whole["contents"], site.orders(PROC))
    path.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")


def render() -> str:
    quarto = shutil.which("quarto")
    command = [quarto, "render", ".", "--no-execute"] if quarto else [str(Path(sys.executable).parent/"smalldocs"), "render", "."]
    done = subprocess.run(command, cwd=PROC, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode: sys.exit(said)
    known = ("html-math-method", "output-file")                           # options of Quarto that smalldocs does not have
    warnings = [l for l in said.splitlines() if l.startswith("warning") and not any(k in l for k in known)]
    if warnings: print("\n".join(warnings[:20]))
    out = PROC/"_docs"
    for folder in ("figures", "docs/images"): shutil.copytree(PROC/folder, out/folder, dirs_exist_ok=True)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(out, SITE)
    return "Quarto" if quarto else "smalldocs"


def without_network(by: str) -> int:
    "Rewrite what needs the network or a server; how many equations there are."
    if by == "smalldocs": site.search_script(SITE)
    equations = 0
    for path in SITE.rglob("*.html"):
        text, n = site.mathml(path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
        equations += n
    for path in SITE.rglob("*.css"): path.write_text(site.own_fonts(path.read_text(encoding="utf-8")), encoding="utf-8")
    return equations


def main() -> None:
    process()
    add_pages()
    sidebar()
    faults, sources = project.check(PROC)
    if faults: sys.exit(f"{len(faults)} faults of the Quarto project in _proc:\n" + "\n".join(faults[:60]))
    by = render()
    equations = without_network(by)
    faults, checked = site.broken_links(SITE)
    pages = len(list(SITE.rglob("*.html")))
    if not checked or pages <= 10: sys.exit("no links were checked")
    if faults: sys.exit(f"{len(faults)} broken links of {checked:,}:\n" + "\n".join(sorted(set(faults))[:60]))
    print(f"_proc: {sources}, none broken")
    print(f"_docs/index.html: {pages} pages by {by}, {equations} equations, {checked:,} internal links checked, none broken")


if __name__ == "__main__": main()
