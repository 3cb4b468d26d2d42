"""Everything that must hold in every commit, with one closing line of counts.

1. notebooks are clean and exported: `nbdev_clean` and `nbdev_export` change nothing; README.md is what nbs/index.ipynb
   gives; environment.yml and settings.ini name the same dependencies;
2. ruff, mypy, the ratchet of style, sizes and plan, and the tests of these runners pass;
3. every notebook of nbs/ runs: those of the batch by `medbridge reproduce check`, the tutorials in a browser, where
   there is one (CI installs it), all others as nbdev_test runs them; on the way 60 functions of the library, drawn by
   seed, raise at once, and each must make its own notebook fail;
4. the documentation is built and no link in it is broken; explorers and tutorials answer to the keyboard in the browser;
5. the wheel is built, installed into an empty environment and used there (wheel.py).

    check.py              all of it
    check.py PATH...      these notebooks only
    check.py --lint       step 2 only
    check.py --no-sample  without the functions that raise

With MEDBRIDGE_TUTORIALS=alone in the environment the tutorials run without the browser, which moves the explorers only.
"""
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

import engine
import mutants
from report import BIN, ROOT, check, closing, notices, part, record, run

WORKERS = max(1, min(4, os.cpu_count() or 1))
LIMIT = 1800    # seconds a notebook may take before it counts as hanging
SAMPLE = 60     # functions that raise
SEED = 0
WIDGET = "application/vnd.jupyter.widget-view+json"


# the tree

def notebooks() -> list[Path]:
    return [p for p in sorted((ROOT/"nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]


def named(path: Path) -> str: return os.path.relpath(path, ROOT)


def tree() -> dict[str, str]:
    "Hash of each notebook and module."
    files = notebooks() + list((ROOT/"medbridge").rglob("*.py"))
    return {named(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def in_step() -> None:
    "Nothing changes when the notebooks are cleaned and exported."
    before = tree()
    for command in ("nbdev_clean", "nbdev_export"):
        ok, output, _ = run(BIN/command)
        if not ok:
            record("clean and export", False, output)
            return
    after = tree()
    changed = sorted(f for f in before.keys() | after.keys() if before.get(f) != after.get(f))
    record("clean and export leave no diff", not changed, "changed: " + ", ".join(changed))


def waits(path: Path) -> bool:
    "Whether a stored output of a notebook is a widget, which shows nothing without a kernel."
    outputs = [o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", [])]
    return any(WIDGET in o.get("data", {}) for o in outputs)


def stored_outputs() -> None:
    live = [named(p) for p in notebooks() if waits(p)]
    remedy = "execute again with MEDBRIDGE_STATIC=1 and MEDBRIDGE_QUIET=1: "
    record("no stored output waits for a kernel", not live, remedy + ", ".join(live))


def dependencies() -> None:
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(ROOT/"settings.ini")
    settings = parser["DEFAULT"]
    listed = set((settings["requirements"] + " " + settings["dev_requirements"]).split())
    lines = re.findall(r"^\s+- ([A-Za-z][^\s:]*[<>=][^\s]*)$", (ROOT/"environment.yml").read_text(), re.M)
    conda = {line for line in lines if not re.match(r"(python|pip)[<>=]", line)}
    wrong = sorted(listed ^ conda)
    record("environment.yml and settings.ini agree", not wrong and len(listed) > 10, f"only in one: {wrong}")
    cited = re.search(r"^version: (.*)$", (ROOT/"CITATION.cff").read_text(), re.M)
    record("CITATION.cff names this version", cited is not None and cited[1] == settings["version"])


def lint() -> None:
    check("ruff", BIN/"ruff", "check", "--output-format", "concise", "medbridge", ".ci")
    check("mypy", BIN/"mypy", "--config-file", ".ci/mypy.ini", "medbridge")
    ok, output, seconds = run(sys.executable, ".ci/ratchet.py")
    if ok: print(output, end="")
    record("the ratchet: style, sizes and plan", ok, output, seconds)
    check("the runners' own tests", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".ci/tests")


# notebooks

def try_notebook(work: mutants.Work) -> engine.Outcome:
    return engine.run_notebook(work.path, work.mutants)


def run_notebooks(paths: list[Path], sample: list[mutants.Work], others=()) -> None:
    "Run each notebook in a fork, the functions of the sample raising on the way; `others`: processes that hold a core."
    engine.preload()
    drawn = {work.path: work.mutants for work in sample}
    tasks = [mutants.Work(path, drawn.get(path, {})) for path in paths]
    trials = []

    def free() -> int: return max(WORKERS, 1 + len(others)) - sum(p.poll() is None for p in others)

    for n, done in enumerate(engine.in_forks(tasks, try_notebook, free, limit=LIMIT), 1):
        outcome, progress = done.answer, f"{n} of {len(tasks)}"
        if outcome is None:
            record(named(done.task.path), False, done.output, done.seconds, progress)
            continue
        record(named(done.task.path), outcome.passed, done.output + outcome.error, outcome.seconds, progress)
        trials += [(done.task.path, trial, outcome.trial_seconds) for trial in outcome.trials]
    if sample: judge(trials, sum(work.count() for work in sample))


def judge(trials: list, wanted: int) -> None:
    "What became of the functions that raised."
    kept = [mutants.describe(path, trial) for path, trial, _ in trials if not trial.caught]
    seconds = sum(trial.seconds for _, trial, _ in trials)
    missing = [f"{wanted - len(trials)} were not tried"] if len(trials) < wanted else []
    name = f"{wanted} functions that raise make their own notebooks fail"
    record(name, not kept and not missing, "\n".join(["not noticed:", *kept, *missing]), seconds)


def batch(folder: Path) -> None:
    command = (sys.executable, "-m", "medbridge", "reproduce", "check", "--figures", folder)
    check("experiments: medbridge reproduce check", *command, threads=WORKERS)
    ok, output, seconds = run(*command)
    record("a second batch finds everything unchanged", ok and "0 of" in output, output, seconds)


# pages

def has_browser() -> bool:
    "Whether .ci/browser.py will find what it needs; CI installs Chromium here."
    import lab
    return importlib.util.find_spec("playwright") is not None and lab.find_browser() is not None


def documentation() -> None:
    ok, output, seconds = run(sys.executable, ".ci/docs.py")
    record("the documentation is built, no link is broken", ok and "links checked" in output, output, seconds)


def in_the_browser(tutorials: list[Path]) -> None:
    "Explorers and tutorials, driven by hand; a machine that was busy for a moment gets a second try, and that is said."
    options = [] if tutorials else ["--without-tutorials"]
    ok, output, seconds = run(sys.executable, ".ci/browser.py", *options)
    if not ok:
        print(f"the browser test failed once and is tried again:\n{output[-1500:]}", flush=True)
        ok, output, seconds = run(sys.executable, ".ci/browser.py", *options)
    notices(output)
    ran = set(re.findall(r"^pass  JupyterLab: (\S+) runs from first to last cell", output, re.M))
    lost = sorted({p.name for p in tutorials} - ran)
    name = f"explorers{' and tutorials' if tutorials else ''} answer in JupyterLab and Voila"
    record(name, ok and not lost, output + "".join(f"\n{n} did not run" for n in lost), seconds)


# the wheel, beside the notebooks

def start_wheel() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, ".ci/wheel.py"], cwd=ROOT, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)


def collect(process: subprocess.Popen) -> None:
    "The wheel's checks count as ours."
    output, _ = process.communicate()
    found = re.findall(r"^(pass|FAIL)  (.+?)(?:  \((\d+) s\))?$", output, re.M)
    for word, name, seconds in found: record(name, word == "pass", output, float(seconds or 0))
    record("the wheel's checks ran to their end", bool(found) and " passed, " in output, output)


def everything(with_sample: bool) -> None:
    with part("clean, export, README, dependencies"):
        in_step()
        stored_outputs()
        dependencies()
        check("README.md is what nbs/index.ipynb gives", sys.executable, ".ci/readme.py", "--check")
    with part("ruff, mypy, ratchet, the runners' tests"): lint()
    every = notebooks()
    in_batch = batch_notebooks(every)
    there = has_browser()
    by_browser = there and os.environ.get("MEDBRIDGE_TUTORIALS") != "alone"
    tutorials = [p for p in every if p.parent.name == "tutorials"] if by_browser else []
    alone = [p for p in every if p not in in_batch and p not in tutorials]
    building = start_wheel()
    sample = mutants.sample(SAMPLE, SEED) if with_sample else []
    with part(f"{len(alone)} notebooks" + (f", {SAMPLE} functions that raise" if sample else "")):
        run_notebooks(alone, sample, [building])
    with part("the wheel, after the notebooks"): collect(building)
    with part("documentation"): documentation()
    with part(f"explorers and {len(tutorials)} tutorials in the browser"):
        if there: in_the_browser(tutorials)
        else: print("NOTICE  no browser: explorers were not moved by hand, and the tutorials ran without one "
                    "(apt install chromium; pip install playwright)", flush=True)
    with part(f"{len(in_batch)} experiments, twice"), tempfile.TemporaryDirectory() as folder: batch(Path(folder)/"figures")
    print(f"{len(alone)} notebooks ran alone, {len(tutorials)} in a browser and {len(in_batch)} in the batch, none skipped")


def batch_notebooks(every: list[Path]) -> list[Path]:
    "The experiments that the smallest preset runs."
    code = ("from medbridge.reproduction import jobs, presets; "
            "print(*{j.notebook for j in jobs.jobs(presets.preset('check'))})")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    names = set(done.stdout.split())
    found = [p for p in every if p.parent.name == "experiments" and p.stem in names]
    assert len(found) == len(names), "a notebook of the batch is missing"
    return found


def main() -> int:
    options = {a for a in sys.argv[1:] if a.startswith("--")}
    paths = [Path(p).resolve() for p in sys.argv[1:] if not p.startswith("--")]
    if "--lint" in options: lint()
    elif paths: run_notebooks(paths, [])
    else: everything("--no-sample" not in options)
    return closing()


if __name__ == "__main__": sys.exit(main())
