"JupyterLab and Voila on loopback, and what a person does on their pages: open, run all cells, move a control."
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# several pages are at work, and none of them is in front: the last three flags keep them awake
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
         "--disable-renderer-backgrounding"]
NEWS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
TRACKER = "@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
SETTINGS = {NEWS: dict(fetchNews="false", checkForUpdates=False),
            TRACKER: dict(windowingMode="none")}   # cells out of sight are drawn too
KERNEL = dict(display_name="Python 3", language="python", name="python3")
INSTALL = (("apt-get", "-q", "update"), ("apt-get", "-q", "install", "-y", "--no-install-recommends", "chromium"))
DRAWING = "el => el.innerHTML"
CELLS_OF_TABLES = "el => [...el.querySelectorAll('td')].map(t => t.innerText).join(' ; ')"
# what the open notebook shows: cells that wait, that ran, that are there, and the last line of each error
STATE = """() => {
  const cells = [...document.querySelectorAll('.jp-CodeCell')]
    .filter(c => c.querySelector('.cm-content')?.innerText.trim());
  const prompts = cells.map(c => c.querySelector('.jp-InputPrompt')?.innerText || '');
  const kinds = ['error', 'stderr'].map(k => `[data-mime-type="application/vnd.jupyter.${k}"]`).join(', ');
  const errors = [...document.querySelectorAll(kinds)].map(e => e.innerText.trim());
  return {
    waiting: prompts.filter(p => p.includes('*')).length,
    ran: prompts.filter(p => /[0-9]/.test(p)).length,
    there: cells.length,
    errors: errors.filter(t => t.includes('Traceback (most recent call last)'))
      .map(t => t.split('\\n').pop().slice(0, 300))
  };
}"""


# the browser

def installed() -> str | None:
    "Chromium's path, where there is one."
    for name in (os.environ.get("CHROMIUM", ""), *BROWSERS):
        path = shutil.which(name) if name else None
        if path: return path
    return None


def may_install() -> bool:
    "Whether this is CI, and we are allowed to."
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return os.environ.get("CI") == "true" and is_root and shutil.which("apt-get") is not None


def find_browser() -> str | None:
    "Chromium's path; installed first where this is CI and we may."
    found = installed()
    if found is not None or not may_install(): return found
    print("installing chromium with apt", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in INSTALL:
        try: subprocess.run(command, capture_output=True, timeout=600, env=quiet)
        except subprocess.TimeoutExpired: break
    return installed()


# the servers

def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def write_settings(folder: Path) -> None:
    "What JupyterLab is told not to do."
    for name, value in SETTINGS.items():
        path = folder/name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))


def environment(folder: Path) -> dict[str, str]:
    "A server's environment: this checkout, and folders of its own."
    kept = {name: value for name, value in os.environ.items() if name != "MEDBRIDGE_STATIC"}
    private = {f"JUPYTER_{n}_DIR": str(folder/f".jupyter-{n.lower()}") for n in ("CONFIG", "RUNTIME")}
    python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, **private, "JUPYTERLAB_SETTINGS_DIR": str(folder/".settings"), "PYTHONPATH": python_path,
            "HF_HUB_OFFLINE": "1", "PATH": path}


def lab_command(folder: Path, port: int, token: str) -> list[str]:
    return ["-m", "jupyter", "lab", f"--ServerApp.token={token}", f"--ServerApp.port={port}",
            "--ServerApp.ip=127.0.0.1", "--ServerApp.open_browser=False", "--ServerApp.allow_root=True",
            f"--ServerApp.root_dir={folder}", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.news_url="]


def voila_command(folder: Path, port: int, token: str) -> list[str]:
    return ["-m", "voila", str(folder), f"--port={port}", "--no-browser", f"--token={token}", "--Voila.ip=127.0.0.1"]


COMMANDS = dict(lab=lab_command, voila=voila_command)


class Server:
    "A notebook server on a free loopback port, stopped with everything it started."
    def __init__(self, folder: Path, kind: str):
        self.port, self.token, self.log = free_port(), secrets.token_hex(16), folder/f".{kind}.log"
        write_settings(folder/".settings")
        command = [sys.executable, *COMMANDS[kind](folder, self.port, self.token)]
        self.process = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=open(self.log, "w"),
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        self.wait()

    def __enter__(self): return self

    def __exit__(self, *_): self.stop()

    def answers(self) -> bool:
        try: urllib.request.urlopen(self.url(""), timeout=5)
        except urllib.error.HTTPError: return True
        except OSError: return False
        return True

    def wait(self, seconds=120) -> None:
        end = time.time() + seconds
        while time.time() < end and self.process.poll() is None:
            if self.answers(): return
            time.sleep(0.3)
        self.stop()
        raise SystemExit(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def url(self, path: str) -> str: return f"http://127.0.0.1:{self.port}/{path}?token={self.token}"

    def stop(self) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try: os.killpg(self.process.pid, sign)
            except ProcessLookupError: return
            try:
                self.process.wait(10)
                return
            except subprocess.TimeoutExpired: pass


def write_notebook(path: Path, sources: list[str]) -> None:
    cells = [dict(cell_type="code", id=f"cell{i:04d}", execution_count=None, metadata={}, outputs=[],
                  source=source.splitlines(True)) for i, source in enumerate(sources)]
    path.write_text(json.dumps(dict(cells=cells, metadata=dict(kernelspec=KERNEL), nbformat=4, nbformat_minor=5)))


# on a page

def start(page, server: Server, path: Path) -> None:
    "Open a notebook in JupyterLab and run all cells from the menu."
    page.goto(server.url(f"doc/tree/{urllib.parse.quote(path.name)}"))
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=300_000)
    # cells that are run before the kernel is there would be lost
    page.get_by_text(re.compile(r"\| Idle$")).first.wait_for(timeout=300_000)
    page.locator(".lm-MenuBar-item", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-item[data-command='runmenu:run-all']").click()


def ended(page) -> list[str] | None:
    "Errors of a notebook that has run; None while it runs."
    state = page.evaluate(STATE)
    if state["waiting"] or not state["there"]: return None
    if not state["errors"] and state["ran"] != state["there"]: return None
    return state["errors"]


def run_all(page, server: Server, path: Path, seconds: float) -> list[str]:
    "Run a notebook from first to last cell; returns its errors."
    start(page, server, path)
    end = time.time() + seconds
    while time.time() < end:
        errors = ended(page)
        if errors is not None: return errors
        time.sleep(0.3)
    return [f"not at its end after {seconds:.0f} s"]


def explorers(page) -> list:
    "Blocks on the page that hold a drawing and controls."
    blocks = page.locator(".widget-vbox:has(> .widget-hbox):has(> .widget-html)")
    return [blocks.nth(i) for i in range(blocks.count())]


def drawing(block) -> str:
    return block.locator(".widget-html-content").last.evaluate(DRAWING)


def numbers(block) -> list[str]:
    "Numbers in the tables of an explorer."
    text = block.locator(".widget-html-content").last.evaluate(CELLS_OF_TABLES)
    return re.findall(r"-?\d[\d,]*\.?\d*", text)


def seconds_until_drawn(page, block, key: str, limit=20) -> float | None:
    "Press a key and wait for another drawing; None where none came."
    before, started = drawing(block), time.time()
    page.keyboard.press(key)
    while time.time() < started + limit:
        if drawing(block) != before: return time.time() - started
        time.sleep(0.01)
    return None


def move(page, block, name: str, steps=4) -> tuple[bool, list[float]]:
    "Move the control of that label by the keyboard: whether the numbers changed, and the seconds until the drawing did."
    label = page.locator(f".widget-label:text-is('{name}')")
    control = block.locator(".widget-inline-hbox, .widget-text", has=label).first
    target = control.locator(".noUi-handle, input").first
    target.scroll_into_view_if_needed()
    target.focus()
    first = numbers(block)
    keys = ["ArrowRight"]*steps if control.locator(".noUi-handle").count() else ["r", "s"]
    times = [seconds_until_drawn(page, block, key) for key in keys]
    return bool(first) and numbers(block) != first, [t for t in times if t is not None]
