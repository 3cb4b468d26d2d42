"""The documentation site in `_docs`, from the notebooks: by Quarto where it is installed, by smalldocs where it is not. It installs nothing.

1. nbs/ becomes a Quarto project in `_proc` by nbdev's own filters; signatures come from the exported modules, no cell is run;
2. pages made from facts join it: results (figures/), data sets (the registry), every public name;
3. the site is rendered, equations become MathML (readable without JavaScript), and every internal link, anchor and file is checked.
"""
import html, inspect, json, os, re, shutil, subprocess, sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
NBS, PROC, SITE = ROOT/"nbs", ROOT/"_proc", ROOT/"_docs"
os.chdir(ROOT); sys.path.insert(0, str(ROOT))
os.environ.update(IN_TEST="1", MEDBRIDGE_QUIET="1", HF_HUB_OFFLINE="1")

from execnb.nbio import mk_cell, read_nb, write_nb
from execnb.shell import CaptureShell
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.process import NBProcessor, Processor
from nbdev import processors as P
from nbdev.quarto import refresh_quarto_yml

HOME = get_config()["doc_host"] + get_config()["doc_baseurl"]


class show_docs(Processor):
    "Signatures of exported names, read from the module; notebooks are not executed."
    def begin(self):
        self.shell = CaptureShell()
        self.shell.run_cell("from nbdev.showdoc import show_doc")
        if (module := module_of(self.nb)): self.shell.user_ns.update(vars(module))

    def __call__(self, cell):
        if not P._is_showdoc(cell): return
        shown = eval(re.search(r"^show_doc\(([\w.]+)", cell.source, re.M)[1], self.shell.user_ns)
        call = inspect.unwrap(shown.__init__ if isinstance(shown, type) else shown)
        call = getattr(call, "__func__", call)
        if getattr(call, "__defaults__", None): call.__defaults__ = tuple(tuple(v.tolist()) if hasattr(v, "tolist") else v for v in call.__defaults__)  # show_doc compares defaults, which arrays refuse
        self.shell.cell(cell)
        if self.shell.exc: raise RuntimeError(f"{self.nb.path_}: {cell.source}") from self.shell.exc
        try: line = inspect.getsourcelines(inspect.unwrap(shown))[1]     # nbdev leaves it None
        except (TypeError, OSError): line = 1
        for o in cell.outputs:
            for k, v in o.get("data", {}).items():
                if k.startswith("text/"): o["data"][k] = "".join(v).replace("#LNone", f"#L{line}")


class arrange(Processor):
    "Signatures in the order of the source, those of public methods after their class, and the folded source last."
    def begin(self):
        module, cells, out = module_of(self.nb), list(self.nb.cells), []
        written = " ".join(c.source for c in cells if not getattr(c, "has_sd", False))
        while cells:
            cell, after = cells.pop(0), []
            if cell.cell_type == "code" and "export" in cell.directives_:
                while cells and getattr(cells[0], "has_sd", False): after.insert(0, cells.pop(0))
                after = [x for c in after for x in (c, *methods(module, c.source[9:-1], written))]
            out += [*after, cell]
        self.nb.cells[:] = out


def module_of(nb):
    name = P._default_exp(nb)
    return import_module(f"medbridge.{name}".removesuffix(".__init__")) if name else None


def methods(module, name, written):
    "Cells that show the documented public methods of a class, unless the notebook shows them itself."
    cls = getattr(module, name, None)
    if not isinstance(cls, type): return
    for m, f in vars(cls).items():
        f = getattr(f, "__func__", f)
        if not m.startswith("_") and inspect.isfunction(f) and f.__doc__ and f"show_doc({name}.{m})" not in written:
            cell = mk_cell(f"show_doc({name}.{m}, name=\"{name}.{m}\", title_level=4)"); cell.has_sd = True
            yield cell


def fold_source(cell):
    directives = set(cell.directives_ or ())
    if directives & {"exporti", "hide", "default_exp"}: del cell["source"]
    elif cell.cell_type == "code" and "export" in directives:
        code = "\n".join(l for l in cell.source.splitlines() if not l.startswith("#|"))
        if not re.search(r"^(def|class|[A-Za-z_]\w*\s*[:=])", code, re.M): del cell["source"]
        else: cell.source = f"#| code-fold: true\n#| code-summary: \"Source\"\n{code.strip()}"


def link_names(cell):
    if cell.cell_type == "markdown": cell.source = NbdevLookup(incl_libs="medbridge").linkify(cell.source)


def split_title(nb):
    "nbdev takes title and summary from the first cell and drops the rest of it: the rest becomes a cell of its own."
    first = nb.cells[0]
    head = re.match(r"# [^\n]+(\n+> [^\n]+)?", first.source)
    rest = first.source[head.end():].strip() if head and first.cell_type == "markdown" else ""
    if rest: first.source = head[0]; nb.cells.insert(1, mk_cell(rest, "markdown"))


def process():
    refresh_quarto_yml()
    shutil.rmtree(PROC, ignore_errors=True)
    procs = [P.FrontmatterProc, P.populate_language, P.add_show_docs, arrange, P.strip_ansi, P.hide_line, P.filter_stream_, P.clean_show_doc, show_docs, fold_source,
             P.clean_magics, P.hide_, link_names, P.strip_hidden_metadata]
    for source in sorted(p for p in NBS.rglob("*") if p.is_file() and ".ipynb_checkpoints" not in p.parts):
        target = PROC/source.relative_to(NBS)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix != ".ipynb": shutil.copy2(source, target); continue
        nb = read_nb(source)
        split_title(nb)
        NBProcessor(nb=nb, procs=procs).process()
        write_nb(nb, target)
        up = "../"*len(source.relative_to(NBS).parent.parts)
        text = target.read_text(encoding="utf-8").replace(HOME, up)
        if source == NBS/"index.ipynb": text = text.replace("](figures/README.md)", "](docs/results.qmd)").replace("](nbs/", "](")  # its links are those of README.md
        target.write_text(text, encoding="utf-8")


def results() -> str:
    "Gallery of figures/: pictures with captions, tables folded, each with its notebook, data and provenance."
    parts = ["---\ntitle: Results\ndescription: Every committed figure and table, with its data and where it came from.\n---\n",
             "Written by `make reproduce`, never by hand. A figure is drawn from the CSV beside it; the provenance names commit, data fingerprints, weights and versions.\n"]
    for folder in sorted(p.parent for p in (ROOT/"figures").glob("*/*.json")):
        if f"## Preset `{folder.name}`\n" in parts: continue
        parts.append(f"## Preset `{folder.name}`\n")
        shutil.copytree(folder, PROC/"figures"/folder.name, dirs_exist_ok=True)
        entries = sorted(folder.glob("*.json"), key=lambda p: (not p.with_suffix(".png").exists(), p.stem))
        for path in entries:
            facts, at = json.loads(path.read_text(encoding="utf-8")), f"../figures/{folder.name}/{path.stem}"
            notebook = facts.get("notebook", "")
            page = f"[{Path(notebook).stem}](../{Path(notebook).relative_to('nbs')})" if notebook and (ROOT/notebook).is_file() else f"`{notebook}`"
            files = " · ".join(f"[{s}]({at}.{s})" for s in ("csv", "json", "svg", "tex") if path.with_suffix(f".{s}").exists())
            caption = facts.get("caption", "")
            parts.append(f"### {path.stem.replace('-', ' ').capitalize()}\n\n{caption}\n")
            if path.with_suffix(".png").exists(): parts.append(f"[![{path.stem.replace('-', ' ')}]({at}.png)]({at}.png)\n")
            elif path.with_suffix(".md").exists():
                table = re.sub(r"^#.*\n", "", path.with_suffix(".md").read_text(encoding="utf-8"), flags=re.M).replace(caption, "").strip() if caption else path.with_suffix(".md").read_text(encoding="utf-8").strip()
                parts.append(f"<details><summary>table, {table.count(chr(10)) - 1} rows</summary>\n\n::: {{.wide}}\n\n{table}\n\n:::\n\n</details>\n")
            parts.append(f"Notebook {page}, commit `{facts.get('commit')}`: {files}\n")
    return "\n".join(parts)


def data_sets() -> str:
    "One section for each data set of the registry."
    from dataclasses import asdict
    from medbridge.data import datasets
    from medbridge.phantom import SITES
    table = datasets.available()[["name", "images", "licence"]]
    parts = ["---\ntitle: Data sets\ndescription: What can be read, under which licence, where to ask for it, and where it must lie.\n---\n",
             "Made from the registry in [`medbridge.data.datasets`](../core/data/datasets.ipynb). Nothing is downloaded: you obtain a data set under its own terms, put it into the folder named here below "
             "`$MEDBRIDGE_DATA`, and `python -m medbridge datasets check NAME` says what is missing.\n",
             "| data set | images | licence |\n|---|---|---|\n" + "\n".join(f"| [{r.name}](#{r.name}) | {r.images} | {r.licence} |" for r in table.itertuples(index=False)) + "\n"]
    for d in datasets.SETS.values():
        facts = {k: v for k, v in asdict(d).items() if k not in ("name", "read")}
        doc = (getattr(d.read, "__doc__", None) or "").strip().splitlines()
        if doc: parts.append(f"## {d.name} {{#{d.name}}}\n\n{doc[0]}\n")
        else: parts.append(f"## {d.name} {{#{d.name}}}\n")
        for k, v in facts.items():
            if v in (None, "", (), [], {}) or callable(v): continue
            if isinstance(v, dict): shown = ", ".join(f"{n:,} {k}" for k, n in v.items())
            else: shown = ", ".join(f"`{x}`" for x in v) if isinstance(v, (list, tuple)) else f"<{v}>" if str(v).startswith("http") else f"{v:,}" if isinstance(v, int) and not isinstance(v, bool) else "yes" if v is True else "no" if v is False else str(v)
            parts.append(f"- {k.replace('_', ' ')}: {shown}")
        parts.append("")
    for name in datasets.PHANTOMS:
        s = SITES[name]
        parts.append(f"## {name} {{#{name}}}\n\nSimulated by [CXR-Phantom](../core/phantom/benchmark.ipynb) from one real CT (MIT licence); any number of images, rendered on demand.\n\n"
                     f"- tube voltage: {s.kv} kV; scatter to primary: {s.scatter}; tone curve: {s.gamma}\n- files: `{s.ending}`, {s.bits} bits, {s.photometric}\n- uncertain labels: policy `{s.uncertain}`\n")
    return "\n".join(parts)


def names() -> str:
    "Every public name, alphabetically: an index that needs no search."
    from medbridge._modidx import d
    found = []
    for module, symbols in d["syms"].items():
        public = set(getattr(import_module(module.removesuffix(".__init__")), "__all__", ()))
        for full, (page, _) in symbols.items():
            name = full.removeprefix(module + ".")
            if name.split(".")[0] in public and not any(p.startswith("_") for p in name.split(".")):
                doc = re.sub(r"\s+", " ", (getattr(getattr(import_module(module), name, None), "__doc__", None) or "")) if "." not in name else None
                if doc is not None: found.append((name, page, module, doc))
    rows = "\n".join(f"| [`{n}`](../{p.split('#')[0].removesuffix('.html')}.ipynb#{p.split('#')[1]}) | `{m}` | {t.replace('|', chr(92) + '|')[:160]} |" for n, p, m, t in sorted(found, key=lambda r: r[0].lower()))
    assert len(found) > 50, "the index of names is nearly empty"
    return f"---\ntitle: Index of names\ndescription: Every public function and class.\n---\n\n| name | module | what it does |\n|---|---|---|\n{rows}\n"


def add_pages():
    (PROC/"docs").mkdir(exist_ok=True)
    for name, page in dict(results=results, datasets=data_sets, names=names).items(): (PROC/f"docs/{name}.qmd").write_text(page(), encoding="utf-8")
    shutil.copy2(ROOT/"CHANGELOG.md", PROC/"docs/changelog.md")


def sidebar():
    "The reading order of nbs/sidebar.yml; a page it does not name joins the section that has most pages of its folder."
    import yaml
    menu = yaml.safe_load((PROC/"sidebar.yml").read_text(encoding="utf-8"))
    sections = [s["contents"] for s in menu["website"]["sidebar"]["contents"] if isinstance(s, dict)]
    listed = {p for s in [menu["website"]["sidebar"]["contents"], *sections] for p in s if isinstance(p, str)}
    there = {str(p.relative_to(PROC)) for p in PROC.rglob("*") if p.suffix in (".ipynb", ".qmd", ".md") and "figures" not in p.parts}
    if listed - there: sys.exit(f"nbs/sidebar.yml names pages that are not there: {', '.join(sorted(listed - there))}")
    for page in sorted(there - listed):
        max(sections, key=lambda s: sum(str(Path(q).parent) == str(Path(page).parent) for q in s)).append(page)
    if there - listed: print("not in nbs/sidebar.yml, added at a section's end:", ", ".join(sorted(there - listed)))
    (PROC/"sidebar.yml").write_text(yaml.safe_dump(menu, sort_keys=False), encoding="utf-8")


def render():
    out = PROC/"_docs"
    quarto = shutil.which("quarto")
    command = [quarto, "render", ".", "--no-execute"] if quarto else [str(Path(sys.executable).parent/"smalldocs"), "render", "."]
    done = subprocess.run(command, cwd=PROC, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode: sys.exit(done.stdout + done.stderr)
    warnings = [l for l in (done.stdout + done.stderr).splitlines() if l.startswith("warning") and "html-math-method" not in l and "output-file" not in l]
    if warnings: print("\n".join(warnings[:20]))
    for folder in ("figures", "docs/images"): shutil.copytree(PROC/folder, out/folder, dirs_exist_ok=True)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(out, SITE)
    return "Quarto" if quarto else "smalldocs"


FONTS = r"@import\s*(?:url\()?\s*[\"']?https?://[^\"')]+[\"']?\)?[^;]*;"


def self_contained():
    "What smalldocs leaves to the network: equations become MathML, themes use the fonts that the reader has."
    from latex2mathml.converter import convert
    def one(m):
        tex = html.unescape(m[2]).strip()
        return convert(tex[2:-2].strip(), display="block" if "display" in m[1] else "inline")
    count = 0
    for path in SITE.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        text, n = re.subn(r'<span class="math (inline|display)">(.*?)</span>', one, text, flags=re.S)
        text = re.sub(r'\s*<(?:link|script)[^>]*cdn\.jsdelivr\.net/npm/katex[^>]*>(?:</script>)?', "", text)
        # notebooks' pictures have no words of their own
        text = text.replace('<img src="data:', '<img alt="output of the cell above" loading="lazy" src="data:')
        path.write_text(text, encoding="utf-8"); count += n
    for path in SITE.rglob("*.css"): path.write_text(re.sub(FONTS, "", path.read_text(encoding="utf-8")), encoding="utf-8")
    return count


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__(); self.ids, self.links, self.fetched = set(), [], []
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        for k in ("id", "name"):
            if a.get(k): self.ids.add(a[k])
        link = a.get("href") or a.get("src")
        if link and not link.startswith(("data:", "mailto:", "javascript:")): self.links.append(link)
        if tag in ("script", "img", "iframe") or (tag == "link" and a.get("rel") == "stylesheet"):
            if link and link.startswith(("http:", "https:", "//")): self.fetched.append(link)


def check():
    pages = {p.resolve(): Page(p.read_text(encoding="utf-8")) for p in SITE.rglob("*.html")}
    broken, checked = [], 0
    for path, page in pages.items():
        broken += [f"{path.relative_to(SITE)}: needs the network: {u}" for u in page.fetched]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc: continue
            checked += 1
            target = path if not parts.path else ((SITE/parts.path.lstrip("/")) if parts.path.startswith("/") else (path.parent/unquote(parts.path))).resolve()
            if target.is_dir(): target = target/"index.html"
            if not target.is_file(): broken.append(f"{path.relative_to(SITE)}: no such file: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids: broken.append(f"{path.relative_to(SITE)}: no such anchor: {link}")
    broken += [f"{p.relative_to(SITE)}: needs the network" for p in SITE.rglob("*.css") if re.search(r"(@import|url\()\s*(url\()?[\"']?https?:", p.read_text(encoding="utf-8"))]
    assert checked > 0 and len(pages) > 10, "no links were checked"
    if broken: sys.exit(f"{len(broken)} broken links of {checked:,}:\n" + "\n".join(sorted(set(broken))[:60]))
    return len(pages), checked


def main():
    process(); add_pages(); sidebar()
    by = render()
    equations = self_contained()
    pages, links = check()
    print(f"_docs/index.html: {pages} pages by {by}, {equations} equations, {links:,} internal links checked, none broken")


if __name__ == "__main__": main()
