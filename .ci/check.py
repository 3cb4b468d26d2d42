"""Everything that must hold in every commit, with one closing line of counts.

1. notebooks are clean and exported: `nbdev_clean` and `nbdev_export` change nothing;
2. README.md is what nbs/index.ipynb gives; environment.yml and settings.ini name the same dependencies;
3. every notebook of nbs/ runs: those of the batch by `medbridge reproduce check`, the tutorials in a browser, where there is one (CI installs it), all others as nbdev_test runs them;
4. the documentation is built and no link in it is broken; explorers and tutorials answer to the keyboard in the browser;
5. the wheel is built, installed with its dependencies into an empty environment outside the checkout, and imported there.

`check.py PATH...` runs the named notebooks only. With MEDBRIDGE_TUTORIALS=alone in the environment the tutorials run without the browser, which moves the explorers only.
"""
import hashlib, importlib.util, json, os, re, signal, subprocess, sys, tempfile, time
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
WORKERS = max(1, min(4, os.cpu_count() or 1))
os.environ.update(MEDBRIDGE_QUIET="1", HF_HUB_OFFLINE="1", PYTHONWARNINGS="ignore", OMP_NUM_THREADS="1", PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}")
LIMIT = 1200   # seconds a notebook may take before it counts as hanging
results: dict[str, bool] = {}


def run(*command, cwd=ROOT, threads=1, **env):
    started = time.time()
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, "OMP_NUM_THREADS": str(threads), **env})
    return done.returncode == 0, done.stdout + done.stderr, time.time() - started


def record(name, ok, output="", seconds=0.0):
    results[name] = ok
    print(f"{'pass' if ok else 'FAIL'}  {name}" + (f"  ({seconds:.0f} s)" if seconds else ""), flush=True)
    if not ok: print(output[-6000:], flush=True)


def tree():
    files = [p for folder in ("nbs", "medbridge") for p in (ROOT/folder).rglob("*") if p.suffix in (".ipynb", ".py") and ".ipynb_checkpoints" not in p.parts]
    return {str(p.relative_to(ROOT)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def in_step():
    before = tree()
    for command in ("nbdev_clean", "nbdev_export"):
        ok, output, seconds = run(BIN/command)
        if not ok: return record("clean and export", False, output)
    after = tree()
    changed = sorted(f for f in before.keys() | after.keys() if before.get(f) != after.get(f))
    record("clean and export leave no diff", not changed, "changed: " + ", ".join(changed))
    live = [str(p.relative_to(ROOT)) for p in sorted((ROOT/"nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts and any("application/vnd.jupyter.widget-view+json" in o.get("data", {}) for c in json.loads(p.read_text())["cells"] for o in c.get("outputs", []))]
    record("no stored output waits for a kernel", not live, "execute again with MEDBRIDGE_STATIC=1 and MEDBRIDGE_QUIET=1: " + ", ".join(live))


def dependencies():
    cfg = ConfigParser(delimiters=["="], interpolation=None); cfg.read(ROOT/"settings.ini")
    listed = set((cfg["DEFAULT"]["requirements"] + " " + cfg["DEFAULT"]["dev_requirements"]).split())
    text = (ROOT/"environment.yml").read_text()
    named = set(re.findall(r"^\s+- ([A-Za-z][^\s:]*[<>=][^\s]*)$", text, re.M)) - {l for l in re.findall(r"- (python[<>=][^\s]*|pip[<>=]?[^\s]*)$", text, re.M)}
    record("environment.yml and settings.ini agree", listed == named and len(listed) > 10, f"only in one: {sorted(listed ^ named)}")


def readme():
    ok, output, seconds = run(sys.executable, ".ci/readme.py", "--check")
    record("README.md is what nbs/index.ipynb gives", ok, output)


def preload():
    "Import once what most notebooks import: each is run in a fork of this process. No thread is started before."
    import medbridge, torch, torchvision, open_clip, timm, transformers, sklearn.linear_model, scipy.stats, skimage, seaborn, matplotlib.pyplot, pandas, nbdev.test  # noqa: F401
    torch.set_num_threads(1)


def run_here(path):
    "One notebook, as nbdev_test runs it; never returns."
    from nbdev.config import get_config
    from nbdev.test import test_nb
    signal.alarm(LIMIT)
    os.chdir(ROOT/"nbs")
    ok = False
    try: ok, _ = test_nb(path, skip_flags=get_config().tst_flags.split(), basepath=ROOT)
    except BaseException as error: print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(0 if ok else 1)


def run_notebooks(paths, others=()):
    "Fork a process for each notebook, as many at a time as there are cores; `others`: processes that hold a core."
    preload()
    waiting, running = list(paths), {}
    while waiting or running:
        while waiting and len(running) + sum(p.poll() is None for p in others) < max(WORKERS, 1 + len(others)):
            path, log = waiting.pop(0), tempfile.TemporaryFile()
            sys.stdout.flush()
            pid = os.fork()
            if not pid:
                os.dup2(log.fileno(), 1); os.dup2(log.fileno(), 2)
                run_here(path)
            running[pid] = path, log, time.time()
        pid, status = next(((p, s) for p, s in (os.waitpid(p, os.WNOHANG) for p in list(running)) if p), (0, 0))
        if not pid: time.sleep(0.05); continue
        path, log, started = running.pop(pid)
        log.seek(0); output = log.read().decode(errors="replace")
        if os.WIFSIGNALED(status): output += f"\nended by {signal.Signals(os.WTERMSIG(status)).name} after {time.time() - started:.0f} s"
        record(str(path.relative_to(ROOT)), status == 0, output, time.time() - started)


def batch(folder):
    ok, output, seconds = run(sys.executable, "-m", "medbridge", "reproduce", "check", "--figures", folder, threads=WORKERS)
    record("experiments: medbridge reproduce check", ok, output, seconds)
    ok, output, seconds = run(sys.executable, "-m", "medbridge", "reproduce", "check", "--figures", folder)
    record("a second batch finds everything unchanged", ok and "0 of" in output, output, seconds)


def has_browser():
    "Whether .ci/browser.py will find what it needs; CI installs Chromium here."
    spec = importlib.util.spec_from_file_location("browser", ROOT/".ci/browser.py")
    module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)
    return importlib.util.find_spec("playwright") is not None and module.browser() is not None


def pages(there, in_browser):
    ok, output, seconds = run(sys.executable, ".ci/docs.py")
    record("the documentation is built, no link is broken", ok and "links checked" in output, output, seconds)
    if not there: return print("NOTICE  no browser: explorers were not moved by hand, and the tutorials ran without one (apt install chromium; pip install playwright)", flush=True)
    ok, output, seconds = run(sys.executable, ".ci/browser.py", *([] if in_browser else ["--without-tutorials"]))
    if not ok:   # a browser waits by the clock: a machine that was busy for a moment gets a second try, and that is said
        print(f"the browser test failed once and is tried again:\n{output[-1500:]}", flush=True)
        ok, output, seconds = run(sys.executable, ".ci/browser.py", *([] if in_browser else ["--without-tutorials"]))
    for line in output.splitlines():
        if line.startswith("NOTICE"): print(line, flush=True)
    ran = set(re.findall(r"^pass  JupyterLab: (\S+) runs from first to last cell", output, re.M))
    lost = {p.name for p in in_browser} - ran
    record(f"explorers{' and tutorials' if in_browser else ''} answer in JupyterLab and Voila", ok and not lost, output + "".join(f"\n{n} did not run" for n in sorted(lost)), seconds)


def wheel(folder):
    ok, output, seconds = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    record("the wheel is built", ok, output, seconds)
    if not ok: return
    ok, output, seconds = run(sys.executable, "-m", "venv", Path(folder)/"venv")
    python = Path(folder)/"venv/bin/python"
    if ok: ok, output, seconds = run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", ROOT/"constraints.txt", next(Path(folder).glob("*.whl")))
    record("the wheel installs into an empty environment", ok, output, seconds)
    if not ok: return
    code = ("import sys, medbridge, medbridge.evaluate, medbridge.data.datasets; assert 'torch' not in sys.modules, 'torch was imported'; "
            "from medbridge import MedBridge, experts; e = experts.load('lite0-imagenet'); print(medbridge.__file__, e.depth)")
    ok, output, seconds = run(python, "-c", code, cwd=folder)
    record("the installed package is imported outside the checkout", ok and str(ROOT) not in output, output, seconds)
    code = "from medbridge import phantom; from medbridge.data.radiograph import write_image; write_image('radiograph.png', phantom.render('phantom-nih', 7, 1, size=256).pixels)"
    ok, output, seconds = run(python, "-c", code, cwd=folder, MEDBRIDGE_CACHE=str(Path(folder)/"cache"))
    if ok: ok, output, seconds = run(python, "-m", "medbridge", "predict", "radiograph.png", "--format", "csv", cwd=folder)
    record("the installed package predicts for an image", ok and "route: lite0-imagenet" in output and "Effusion" in output, output, seconds)
    ok, output, seconds = run(python, "-m", "medbridge", "--help", cwd=folder)
    record("python -m medbridge --help", ok and "predict" in output, output, seconds)


def wheel_alone(folder):
    "The wheel's checks as a process of its own: its lines are read when it ends."
    return subprocess.Popen([sys.executable, __file__, "--wheel", folder], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)


def collect(process):
    output, _ = process.communicate()
    print(output, end="", flush=True)
    found = re.findall(r"^(pass|FAIL)  (.+?)(?:  \(\d+ s\))?$", output, re.M)
    results.update({name: word == "pass" for word, name in found})
    if process.returncode or not found: record("the wheel's checks ran to their end", False, output)


def main():
    started = time.time()
    if sys.argv[1:2] == ["--wheel"]:
        wheel(sys.argv[2]); return 0
    if sys.argv[1:]:
        run_notebooks([Path(p).resolve() for p in sys.argv[1:]])
    else:
        in_step(); dependencies(); readme()
        code = "from medbridge import presets, reproduce; print(*{j.notebook for j in reproduce.jobs(presets.preset('check'))})"
        batch_notebooks = set(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())
        notebooks = [p for p in sorted((ROOT/"nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
        in_batch = [p for p in notebooks if p.parent.name == "experiments" and p.stem in batch_notebooks]
        assert len(in_batch) == len(batch_notebooks), "a notebook of the batch is missing"
        there = has_browser()
        in_browser = [p for p in notebooks if p.parent.name == "tutorials"] if there and os.environ.get("MEDBRIDGE_TUTORIALS") != "alone" else []
        alone = [p for p in notebooks if p not in in_batch and p not in in_browser]
        with tempfile.TemporaryDirectory() as folder:
            building = wheel_alone(folder)
            run_notebooks(alone, [building])
            collect(building)
            pages(there, in_browser)
            batch(Path(folder)/"figures")
        print(f"{len(alone)} notebooks ran alone, {len(in_browser)} in a browser and {len(in_batch)} in the batch, none skipped; {time.time() - started:.0f} s")
    failed = [name for name, ok in results.items() if not ok]
    if failed: print("failed: " + "; ".join(failed))
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__": raise SystemExit(main())
