"""Everything that must hold in every commit, with one closing line of counts.

1. notebooks are clean and exported: `nbdev_clean` and `nbdev_export` change nothing;
2. README.md is what nbs/index.ipynb gives; environment.yml and settings.ini name the same dependencies;
3. every notebook of nbs/ runs: core and tutorials by nbdev_test, the batch's experiments by `medbridge reproduce smoke`;
4. the wheel is built, installed with its dependencies into an empty environment outside the checkout, and imported there.
"""
import hashlib, os, re, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ENV = {**os.environ, "MEDBRIDGE_QUIET": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore", "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
WORKERS = max(1, min(4, os.cpu_count() or 1))
results: dict[str, bool] = {}


def run(*command, cwd=ROOT, threads=1, **env):
    started = time.time()
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**ENV, "OMP_NUM_THREADS": str(threads), **env})
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


def dependencies():
    cfg = ConfigParser(delimiters=["="], interpolation=None); cfg.read(ROOT/"settings.ini")
    listed = set((cfg["DEFAULT"]["requirements"] + " " + cfg["DEFAULT"]["dev_requirements"]).split())
    text = (ROOT/"environment.yml").read_text()
    named = set(re.findall(r"^\s+- ([A-Za-z][^\s:]*[<>=][^\s]*)$", text, re.M)) - {l for l in re.findall(r"- (python[<>=][^\s]*|pip[<>=]?[^\s]*)$", text, re.M)}
    record("environment.yml and settings.ini agree", listed == named and len(listed) > 10, f"only in one: {sorted(listed ^ named)}")


def readme():
    ok, output, seconds = run(sys.executable, ".ci/readme.py", "--check")
    record("README.md is what nbs/index.ipynb gives", ok, output)


def notebook(path):
    ok, output, seconds = run(BIN/"nbdev_test", "--path", path, "--n_workers", "0")
    record(str(path.relative_to(ROOT)), ok, output, seconds)


def batch(folder):
    ok, output, seconds = run(sys.executable, "-m", "medbridge", "reproduce", "smoke", "--figures", folder, threads=WORKERS)
    record("experiments: medbridge reproduce smoke", ok, output, seconds)
    ok, output, seconds = run(sys.executable, "-m", "medbridge", "reproduce", "smoke", "--figures", folder)
    record("a second batch finds everything unchanged", ok and "0 of" in output, output, seconds)


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


def main():
    started = time.time()
    in_step(); dependencies(); readme()
    batch_notebooks = set(re.findall(r'Experiment\("([a-z_]+)"', (ROOT/"medbridge/jobs.py").read_text()))
    notebooks = [p for p in sorted((ROOT/"nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
    in_batch = [p for p in notebooks if p.parent.name == "experiments" and p.stem in batch_notebooks]
    assert len(in_batch) == len(batch_notebooks), "a notebook of the batch is missing"
    alone = [p for p in notebooks if p not in in_batch]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        building = pool.submit(wheel, folder)
        waiting = [pool.submit(notebook, p) for p in alone]
        for job in [building, *waiting]: job.result()
        batch(Path(folder)/"figures")
    failed = [name for name, ok in results.items() if not ok]
    print(f"{len(alone)} notebooks ran alone and {len(in_batch)} in the batch, none skipped; {time.time() - started:.0f} s")
    if failed: print("failed: " + "; ".join(failed))
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__": raise SystemExit(main())
