"""Notebooks as a person meets them: JupyterLab and Voila on loopback, driven in headless Chromium.

    python .ci/browser.py                      the explorers, in JupyterLab and in Voila, and every tutorial in JupyterLab
    python .ci/browser.py NOTEBOOK...          these notebooks in place of the tutorials (a copy; the files stay as they are)
    python .ci/browser.py --without-tutorials  the explorers alone (--only-notebooks: the notebooks alone)
    python .ci/browser.py --screenshots DIR    keep a picture of each

Each notebook is opened, all its cells are run from the menu, no cell may have failed, and in each explorer a control is
moved by the keyboard until the numbers in the table beside it change. Any request that would leave the machine is refused
and, but for the icon font that Voila's own page asks for, counted as a failure. Where there is no Chromium, and it cannot
be installed (CI=true, as root, by apt), the script says so and passes.
"""
import argparse
import importlib.util
import shutil
import signal
import statistics
import sys
import tempfile
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

from lab import FLAGS, ROOT, Server, ended, explorers, find_browser, move, run_all, start, write_notebook

SETUP = '''import os; os.environ["MEDBRIDGE_QUIET"] = "1"
import warnings; warnings.filterwarnings("ignore")
from medbridge import MedBridge
from medbridge import datasets
from medbridge.widgets import AttentionExplorer, Dashboard, RoutingExplorer, ViewExplorer
model = MedBridge.from_pretrained("embedded")
data = datasets.load("phantom-nih", n=4, seed=4)'''
RUNS = '''import pandas as pd
from medbridge.reproduction.artefacts import Run, seal
for site, value in (("nih", 0.7), ("rsna", 0.8)):
    run = Run(f"runs/in_domain@{site}", "in_domain", dict(site=site, seed=0))
    measured = dict(method=["MedBridge"], label="macro", metric="auroc", value=[value], low=[value - 0.02], high=[value + 0.02])
    run.save("metrics", pd.DataFrame(measured))
    run.finish(); seal(run.folder, site)'''
# what is shown, and the control that is moved
EXPLORERS = dict(routing=("RoutingExplorer(model, data)", "Temperature"), views=("ViewExplorer(model, data)", "Views N"),
                 attention=("AttentionExplorer(model, data)", "Query (-1: mean)"),
                 dashboard=(f"{RUNS}\nDashboard('runs')", "Filter"))
SOURCES = [SETUP, *(code for code, _ in EXPLORERS.values())]
# a tutorial's explorer and the control that is moved; the slowest first, for two run at a time
TUTORIALS = dict(expert_routing="Temperature", own_data="Threshold", domain_shift="Shift", multi_view="Views N",
                 to_the_real_benchmark="Views N", query_injection="Query (-1: mean)")
AT_ONCE = 2
LOOPBACK = ("127.0.0.1", "localhost", None)
FONT = "/@fortawesome/"   # Voila's own page asks for its icon font; it is refused, and all works without


@dataclass
class Session:
    "A browser, and what was found with it."
    chromium: object
    seconds: float                # at most for one notebook
    shots: Path | None            # folder for pictures
    results: dict[str, bool] = field(default_factory=dict)
    outside: set[str] = field(default_factory=set)

    def report(self, name: str, ok: bool, detail="") -> None:
        self.results[name] = bool(ok)
        line = f"{'pass' if ok else 'FAIL'}  {name}"
        print(f"{line}: {detail}" if detail and not ok else line, flush=True)

    def new_page(self):
        "A page that reaches this machine alone."
        page = self.chromium.new_page(viewport=dict(width=1280, height=1000))
        page.route("**/*", self.only_loopback)
        return page

    def only_loopback(self, route) -> None:
        address = route.request.url
        if urllib.parse.urlparse(address).hostname in LOOPBACK: route.continue_()
        else:
            self.outside.add(address.split("?")[0])
            route.abort()


def median(times: list[float], words="") -> str:
    return f" (median {1000*statistics.median(times):.0f} ms{words})" if times else ""


# the explorers

def check_explorer(session: Session, page, block, where: str, name: str, control: str) -> None:
    try: changed, times = move(page, block, control)
    except Exception as error:
        session.report(f"{where}: {name} answers to the keyboard", False, str(error)[:800])
        return
    words = median(times, " from key to drawing")
    session.report(f"{where}: {name} answers to the keyboard{words}", changed, "the numbers did not change")
    if session.shots: block.screenshot(path=session.shots/f"{where.lower()}-{name}.png")


def check_explorers(session: Session, page, where: str) -> None:
    blocks = explorers(page)
    session.report(f"{where}: {len(EXPLORERS)} explorers are shown", len(blocks) == len(EXPLORERS), f"{len(blocks)} found")
    for block, (name, (_, control)) in zip(blocks, EXPLORERS.items()):
        check_explorer(session, page, block, where, name, control)


def explorers_in_lab(session: Session, server: Server, folder: Path) -> None:
    page, name = session.new_page(), "JupyterLab: the explorers' notebook runs"
    try:
        errors = run_all(page, server, folder/"explorers.ipynb", session.seconds)
        session.report(name, not errors, "; ".join(errors))
        if not errors: check_explorers(session, page, "JupyterLab")
    except Exception as error: session.report(name, False, str(error)[:1500])
    page.close()


def explorers_in_voila(session: Session, folder: Path) -> None:
    if importlib.util.find_spec("voila") is None:
        print("NOTICE  Voila is not installed: its test did not run")
        return
    write_notebook(folder/"explorers.ipynb", SOURCES)
    there = f"() => document.querySelectorAll('.widget-vbox > .widget-hbox').length >= {len(EXPLORERS)}"
    with Server(folder, "voila") as server:
        page = session.new_page()
        try:
            page.goto(server.url("voila/render/explorers.ipynb"), timeout=1000*session.seconds)
            page.wait_for_function(there, timeout=1000*session.seconds)
            check_explorers(session, page, "Voila")
        except Exception as error:
            log = server.log.read_text()[-1500:]
            session.report("Voila: the explorers are shown", False, str(error)[:1500] + log)
        finally: page.close()


# the tutorials

@dataclass
class Job:
    "A notebook that runs on a page."
    notebook: Path
    page: object
    began: float

    @property
    def name(self) -> str: return f"JupyterLab: {self.notebook.name}"


def begin(session: Session, server: Server, folder: Path, notebook: Path) -> Job | None:
    "Open and start a copy of a notebook; None where that fails."
    job = Job(notebook, session.new_page(), time.time())
    shutil.copy(notebook, folder/notebook.name)
    try: start(job.page, server, folder/notebook.name)
    except Exception as error:
        session.report(f"{job.name} runs from first to last cell", False, str(error)[:1500])
        job.page.close()
        return None
    job.began = time.time()
    return job


def check_tutorial_explorer(session: Session, job: Job) -> None:
    "Move the control of the explorer in a notebook that has run."
    blocks, label = explorers(job.page), TUTORIALS.get(job.notebook.stem)
    if not blocks:
        if label: session.report(f"{job.name} has an explorer", False, "none is shown")
        else: print(f"      {job.notebook.name} has no explorer")
        return
    label = label or blocks[0].locator(".widget-slider .widget-label").first.inner_text()
    changed, times = move(job.page, blocks[0], label)
    session.report(f"{job.name}: '{label}' changes the numbers{median(times)}", changed)
    if session.shots: blocks[0].screenshot(path=session.shots/f"{job.notebook.stem}-explorer.png")


def at_its_end(session: Session, job: Job) -> bool:
    "Whether a notebook has ended; what it showed is reported then."
    errors = ended(job.page)
    took = time.time() - job.began
    if errors is None and took > session.seconds: errors = [f"not at its end after {session.seconds:.0f} s"]
    if errors is None: return False
    words = "" if errors else f" ({took:.0f} s)"
    session.report(f"{job.name} runs from first to last cell{words}", not errors, "; ".join(errors))
    if not errors: check_tutorial_explorer(session, job)
    if session.shots: job.page.screenshot(path=session.shots/f"{job.notebook.stem}.png", full_page=False)
    return True


def check_notebooks(session: Session, server: Server, folder: Path, paths: list[Path]) -> None:
    "Run copies of notebooks, a few at a time, and move the control of each."
    waiting, running = list(paths), []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            job = begin(session, server, folder, waiting.pop(0))
            if job is not None: running.append(job)
        for job in list(running):
            try: done = at_its_end(session, job)
            except Exception as error:
                session.report(f"{job.name} answers", False, str(error)[:1500])
                done = True
            if not done: continue
            running.remove(job)
            job.page.close()
        time.sleep(0.2)


# all of it

def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path)
    parser.add_argument("--screenshots", type=Path, help="folder for pictures")
    parser.add_argument("--seconds", type=float, default=1200, help="at most for one notebook (default: 1200)")
    parser.add_argument("--only-notebooks", action="store_true", help="leave the explorers out")
    parser.add_argument("--without-tutorials", action="store_true", help="the explorers alone")
    return parser.parse_args()


def chosen(given: argparse.Namespace) -> list[Path]:
    "The notebooks to run; exits where one is missing, or a tutorial is not named above."
    if given.notebooks or given.without_tutorials: paths = given.notebooks
    else: paths = [ROOT/"nbs/tutorials"/f"{name}.ipynb" for name in TUTORIALS]
    missing = [p for p in paths if not p.is_file()]
    forgotten = {p.stem for p in (ROOT/"nbs/tutorials").glob("*.ipynb")} - set(TUTORIALS)
    fault = ""
    if forgotten and not given.notebooks: fault = f"TUTORIALS does not name {', '.join(sorted(forgotten))}"
    if missing: fault = f"there is no notebook {missing[0]}"
    if not fault: return paths
    print(fault, file=sys.stderr)
    sys.exit(2)


def visit(session: Session, folder: Path, paths: list[Path], with_explorers: bool) -> None:
    write_notebook(folder/"explorers.ipynb", SOURCES)
    with Server(folder, "lab") as server:
        if with_explorers: explorers_in_lab(session, server, folder)
        check_notebooks(session, server, folder, paths)
    if with_explorers: explorers_in_voila(session, folder)


def stayed_inside(session: Session) -> None:
    icons = {address for address in session.outside if FONT in address}
    if icons: print("NOTICE  Voila asked for its icon font from outside; the request was refused")
    rest = sorted(session.outside - icons)
    session.report("no page asked for anything else outside this machine", not rest, ", ".join(rest[:5]))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))   # servers are stopped on the way out
    given = arguments()
    paths = chosen(given)
    try: from playwright.sync_api import sync_playwright
    except ImportError:
        print("NOTICE  the browser tests did not run: playwright is not installed (pip install playwright)")
        return 0
    executable = find_browser()
    if executable is None:
        print("NOTICE  the browser tests did not run: no Chromium was found, and it could not be installed "
              "(apt install chromium)")
        return 0
    if given.screenshots: given.screenshots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=executable, args=FLAGS)
        session = Session(chromium, given.seconds, given.screenshots)
        try: visit(session, Path(folder), paths, not given.only_notebooks)
        finally: chromium.close()
        stayed_inside(session)
    failed = [name for name, ok in session.results.items() if not ok]
    print(f"{len(session.results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not session.results else 0


if __name__ == "__main__": sys.exit(main())
