"""Notebooks as a person meets them: JupyterLab and Voila on loopback, driven in headless Chromium.

    python .ci/browser.py                      the explorers, in JupyterLab and in Voila, and every tutorial in JupyterLab
    python .ci/browser.py NOTEBOOK...          these notebooks in place of the tutorials (a copy; the files stay as they are)
    python .ci/browser.py --without-tutorials  the explorers alone (--only-notebooks: the notebooks alone)
    python .ci/browser.py --screenshots DIR    keep a picture of each

Each notebook is opened, all its cells are run from the menu, no cell may have failed, and in each explorer a control is moved by the keyboard until the numbers in the table beside it change.
Any request that would leave the machine is refused and, but for the icon font that Voila's own page asks for, counted as a failure. Where there is no Chromium, and it cannot be installed (CI=true, as root, by apt), the script says so and passes.
"""
import argparse, json, os, re, secrets, shutil, signal, socket, statistics, subprocess, sys, tempfile, time, urllib.error, urllib.parse, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"]   # several pages are at work, and none of them is in front
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SETTINGS = {"@jupyterlab/apputils-extension/notification.jupyterlab-settings": dict(fetchNews="false", checkForUpdates=False),
            "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": dict(windowingMode="none")}   # cells out of sight are drawn too
SETUP = '''import os; os.environ["MEDBRIDGE_QUIET"] = "1"
import warnings; warnings.filterwarnings("ignore")
from medbridge import MedBridge
from medbridge.data import datasets
from medbridge.widgets import AttentionExplorer, Dashboard, RoutingExplorer, ViewExplorer
model = MedBridge.from_pretrained("embedded")
data = datasets.load("phantom-nih", n=4, seed=4)'''
RUNS = '''import pandas as pd
from medbridge.artefacts import Run, seal
for site, value in (("nih", 0.7), ("rsna", 0.8)):
    run = Run(f"runs/in_domain@{site}", "in_domain", dict(site=site, seed=0))
    run.save("metrics", pd.DataFrame(dict(method=["MedBridge"], label="macro", metric="auroc", value=[value], low=[value - 0.02], high=[value + 0.02])))
    run.finish(); seal(run.folder, site)'''
# a tutorial's explorer and the control that is moved; the slowest first, for two run at a time
TUTORIALS = dict(expert_routing="Temperature", own_data="Threshold", domain_shift="Shift", multi_view="Views N", to_the_real_benchmark="Views N", query_injection="Query (-1: mean)")
AT_ONCE = 2
EXPLORERS = dict(routing=("RoutingExplorer(model, data)", "Temperature"), views=("ViewExplorer(model, data)", "Views N"), attention=("AttentionExplorer(model, data)", "Query (-1: mean)"), dashboard=(f"{RUNS}\nDashboard('runs')", "Filter"))


def browser() -> str|None:
    "Chromium's path; installed first where this is CI and we may."
    found = next((shutil.which(b) for b in (os.environ.get("CHROMIUM", ""), *BROWSERS) if b and shutil.which(b)), None)
    if found is None and os.environ.get("CI") == "true" and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing chromium with apt", flush=True)
        for command in (["apt-get", "-q", "update"], ["apt-get", "-q", "install", "-y", "--no-install-recommends", "chromium"]):
            try: subprocess.run(command, capture_output=True, timeout=600, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
            except subprocess.TimeoutExpired: break
        found = next((shutil.which(b) for b in BROWSERS if shutil.which(b)), None)
    return found


class Server:
    "A notebook server on a free loopback port, stopped with everything it started."
    def __init__(self, folder: Path, kind: str):
        with socket.socket() as s: s.bind(("127.0.0.1", 0)); self.port = s.getsockname()[1]
        self.token, self.log = secrets.token_hex(16), folder/f".{kind}.log"
        private = {f"JUPYTER_{n}_DIR": str(folder/f".jupyter-{n.lower()}") for n in ("CONFIG", "RUNTIME")}
        settings = folder/".settings"
        for name, value in SETTINGS.items(): (settings/name).parent.mkdir(parents=True, exist_ok=True); (settings/name).write_text(json.dumps(value))
        common = [f"--ServerApp.token={self.token}", f"--ServerApp.port={self.port}", "--ServerApp.ip=127.0.0.1", "--ServerApp.open_browser=False", "--ServerApp.allow_root=True", f"--ServerApp.root_dir={folder}"]
        command = {"lab": ["-m", "jupyter", "lab", *common, "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url="],
                   "voila": ["-m", "voila", str(folder), f"--port={self.port}", "--no-browser", f"--token={self.token}", "--Voila.ip=127.0.0.1"]}[kind]
        env = {**{k: v for k, v in os.environ.items() if k != "MEDBRIDGE_STATIC"}, **private, "JUPYTERLAB_SETTINGS_DIR": str(settings), "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "HF_HUB_OFFLINE": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.process = subprocess.Popen([sys.executable, *command], cwd=folder, env=env, stdout=open(self.log, "w"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        self.wait()

    def wait(self, seconds=120):
        end = time.time() + seconds
        while time.time() < end:
            if self.process.poll() is not None: break
            try: urllib.request.urlopen(self.url(""), timeout=5); return
            except urllib.error.HTTPError: return
            except OSError: time.sleep(0.3)
        self.stop()
        raise SystemExit(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def url(self, path: str) -> str: return f"http://127.0.0.1:{self.port}/{path}?token={self.token}"

    def stop(self):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try: os.killpg(self.process.pid, sign)
            except ProcessLookupError: return
            try: self.process.wait(10); return
            except subprocess.TimeoutExpired: pass


def write_notebook(path: Path, sources: list[str]) -> None:
    cells = [dict(cell_type="code", id=f"cell{i:04d}", execution_count=None, metadata={}, outputs=[], source=s.splitlines(True)) for i, s in enumerate(sources)]
    path.write_text(json.dumps(dict(cells=cells, metadata=dict(kernelspec=dict(display_name="Python 3", language="python", name="python3")), nbformat=4, nbformat_minor=5)))


# what the open notebook shows: cells that wait, that ran, that are there, and the last line of each error
STATE = """() => {
  const cells = [...document.querySelectorAll('.jp-CodeCell')].filter(c => c.querySelector('.cm-content')?.innerText.trim());
  const prompts = cells.map(c => c.querySelector('.jp-InputPrompt')?.innerText || '');
  const errors = [...document.querySelectorAll('[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]')].map(e => e.innerText.trim());
  return {waiting: prompts.filter(p => p.includes('*')).length, ran: prompts.filter(p => /[0-9]/.test(p)).length, there: cells.length,
          errors: errors.filter(t => t.includes('Traceback (most recent call last)')).map(t => t.split('\\n').pop().slice(0, 300))};
}"""


def start(page, server: Server, path: Path) -> None:
    "Open a notebook in JupyterLab and run all cells from the menu."
    page.goto(server.url(f"doc/tree/{urllib.parse.quote(path.name)}"))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.get_by_text(re.compile(r"\| Idle$")).first.wait_for(timeout=120_000)          # cells that are run before the kernel is there would be lost
    page.locator(".lm-MenuBar-item", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()


def ended(page) -> list[str]|None:
    "Errors of a notebook that has run; None while it runs."
    state = page.evaluate(STATE)
    if state["waiting"] or not state["there"] or not (state["errors"] or state["ran"] == state["there"]): return None
    return state["errors"]


def run_all(page, server: Server, path: Path, seconds: float) -> list[str]:
    "Run a notebook from first to last cell; returns its errors."
    start(page, server, path)
    end = time.time() + seconds
    while time.time() < end:
        if (errors := ended(page)) is not None: return errors
        time.sleep(0.3)
    return [f"not at its end after {seconds:.0f} s"]


def drawing(block) -> str: return block.locator(".widget-html-content").last.evaluate("el => el.innerHTML")
def numbers(block) -> list[str]: return re.findall(r"-?\d[\d,]*\.?\d*", block.locator(".widget-html-content").last.evaluate("el => [...el.querySelectorAll('td')].map(t => t.innerText).join(' ; ')"))


def move(page, block, name: str, steps=4) -> tuple[bool, list[float]]:
    "Move the control of that description by the keyboard; returns whether the numbers in the tables changed, and the seconds until the drawing did."
    control = block.locator(".widget-inline-hbox, .widget-text", has=page.locator(f".widget-label:text-is('{name}')")).first
    target = control.locator(".noUi-handle, input").first
    target.scroll_into_view_if_needed(); target.focus()
    times, first, keys = [], numbers(block), ["ArrowRight"]*steps if control.locator(".noUi-handle").count() else ["r", "s"]
    for key in keys:
        before, started = drawing(block), time.time()
        page.keyboard.press(key)
        while time.time() < started + 20:
            if drawing(block) != before: times.append(time.time() - started); break
            time.sleep(0.01)
    return bool(first) and numbers(block) != first, times


def explorers(page) -> list:
    "Blocks on the page that hold a drawing and controls."
    blocks = page.locator(".widget-vbox:has(> .widget-hbox):has(> .widget-html)")
    return [blocks.nth(i) for i in range(blocks.count())]


def check_explorers(page, where: str, shots: Path|None, report) -> None:
    blocks = explorers(page)
    report(f"{where}: {len(EXPLORERS)} explorers are shown", len(blocks) == len(EXPLORERS), f"{len(blocks)} found")
    for block, (name, (_, control)) in zip(blocks, EXPLORERS.items()):
        try: changed, times = move(page, block, control)
        except Exception as error: report(f"{where}: {name} answers to the keyboard", False, str(error)[:800]); continue
        report(f"{where}: {name} answers to the keyboard" + (f" (median {1000*statistics.median(times):.0f} ms from key to drawing)" if times else ""), changed, "the numbers did not change")
        if shots: block.screenshot(path=shots/f"{where.lower()}-{name}.png")


def check_notebooks(paths: list[Path], lab: Server, folder: Path, new_page, seconds: float, shots: Path|None, report) -> None:
    "Run copies of notebooks, a few at a time, and move the slider of each."
    waiting, running = list(paths), []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            notebook = waiting.pop(0)
            page, name = new_page(), f"JupyterLab: {notebook.name}"
            shutil.copy(notebook, folder/notebook.name)
            try: start(page, lab, folder/notebook.name); running.append((notebook, page, name, time.time()))
            except Exception as error: report(f"{name} runs from first to last cell", False, str(error)[:1500]); page.close()
        for job in list(running):
            notebook, page, name, began = job
            try:
                errors = ended(page)
                if errors is None and time.time() > began + seconds: errors = [f"not at its end after {seconds:.0f} s"]
                if errors is None: continue
                report(f"{name} runs from first to last cell" + (f" ({time.time() - began:.0f} s)" if not errors else ""), not errors, "; ".join(errors))
                blocks, label = explorers(page), TUTORIALS.get(notebook.stem)
                if errors: pass
                elif not blocks: report(f"{name} has an explorer", label is None, "none is shown") if label else print(f"      {notebook.name} has no explorer")
                else:
                    label = label or blocks[0].locator(".widget-slider .widget-label").first.inner_text()
                    changed, times = move(page, blocks[0], label)
                    report(f"{name}: '{label}' changes the numbers" + (f" (median {1000*statistics.median(times):.0f} ms)" if times else ""), changed)
                    if shots: blocks[0].screenshot(path=shots/f"{notebook.stem}-explorer.png")
                if shots: page.screenshot(path=shots/f"{notebook.stem}.png", full_page=False)
            except Exception as error: report(f"{name} answers", False, str(error)[:1500])
            running.remove(job); page.close()
        time.sleep(0.2)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))                    # servers are stopped on the way out
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("notebooks", nargs="*", type=Path)
    p.add_argument("--screenshots", type=Path, help="folder for pictures")
    p.add_argument("--seconds", type=float, default=420, help="at most for one notebook (default: 420)")
    p.add_argument("--only-notebooks", action="store_true", help="leave the explorers out")
    p.add_argument("--without-tutorials", action="store_true", help="the explorers alone")
    args = p.parse_args()
    if not args.notebooks and not args.without_tutorials:
        args.notebooks = [ROOT/"nbs/tutorials"/f"{name}.ipynb" for name in TUTORIALS]
        if forgotten := {n.stem for n in (ROOT/"nbs/tutorials").glob("*.ipynb")} - set(TUTORIALS): print(f"TUTORIALS does not name {', '.join(sorted(forgotten))}", file=sys.stderr); return 2
    missing = [n for n in args.notebooks if not n.is_file()]
    if missing: print(f"there is no notebook {missing[0]}", file=sys.stderr); return 2
    try: from playwright.sync_api import sync_playwright
    except ImportError: print("NOTICE  the browser tests did not run: playwright is not installed (pip install playwright)"); return 0
    executable = browser()
    if executable is None: print("NOTICE  the browser tests did not run: no Chromium was found, and it could not be installed (apt install chromium)"); return 0
    if args.screenshots: args.screenshots.mkdir(parents=True, exist_ok=True)
    results: dict[str, bool] = {}

    def report(name: str, ok: bool, detail="") -> None:
        results[name] = bool(ok)
        print(f"{'pass' if ok else 'FAIL'}  {name}" + ("" if ok or not detail else f": {detail}"), flush=True)

    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as play:
        folder = Path(tmp)
        write_notebook(folder/"explorers.ipynb", [SETUP, *(code for code, _ in EXPLORERS.values())])
        chromium = play.chromium.launch(executable_path=executable, args=FLAGS)
        outside: set[str] = set()

        def new_page():
            page = chromium.new_page(viewport=dict(width=1280, height=1000))
            def only_loopback(route):
                if urllib.parse.urlparse(route.request.url).hostname in ("127.0.0.1", "localhost", None): route.continue_()
                else: outside.add(route.request.url.split("?")[0]); route.abort()
            page.route("**/*", only_loopback)
            return page

        try:
            lab = Server(folder, "lab")
            try:
                if not args.only_notebooks:
                    page = new_page()
                    try:
                        errors = run_all(page, lab, folder/"explorers.ipynb", args.seconds)
                        report("JupyterLab: the explorers' notebook runs", not errors, "; ".join(errors))
                        if not errors: check_explorers(page, "JupyterLab", args.screenshots, report)
                    except Exception as error: report("JupyterLab: the explorers' notebook runs", False, str(error)[:1500])
                    page.close()
                check_notebooks(args.notebooks, lab, folder, new_page, args.seconds, args.screenshots, report)
            finally: lab.stop()
            if not args.only_notebooks:
                try: import voila; has_voila = True  # noqa: E401, F401
                except ImportError: has_voila = False; print("NOTICE  Voila is not installed: its test did not run")
                if has_voila:
                    write_notebook(folder/"explorers.ipynb", [SETUP, *(code for code, _ in EXPLORERS.values())])
                    server, page = Server(folder, "voila"), new_page()
                    try:
                        page.goto(server.url("voila/render/explorers.ipynb"), timeout=1000*args.seconds)
                        page.wait_for_function(f"() => document.querySelectorAll('.widget-vbox > .widget-hbox').length >= {len(EXPLORERS)}", timeout=1000*args.seconds)
                        check_explorers(page, "Voila", args.screenshots, report)
                    except Exception as error: report("Voila: the explorers are shown", False, str(error)[:1500] + server.log.read_text()[-1500:])
                    finally: page.close(); server.stop()
        finally: chromium.close()
        icons = {u for u in outside if "/@fortawesome/" in u}                      # Voila's own page asks for its icon font; it is refused, and all works without
        if icons: print("NOTICE  Voila asked for its icon font from outside; the request was refused")
        report("no page asked for anything else outside this machine", not outside - icons, ", ".join(sorted(outside - icons)[:5]))
    failed = [n for n, ok in results.items() if not ok]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not results else 0


if __name__ == "__main__": raise SystemExit(main())
