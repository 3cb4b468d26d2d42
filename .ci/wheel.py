"""The wheel is built, installed into an empty environment outside the checkout, and used there.

What the wheel declares to require, and what that requires in turn, is linked into the empty environment, file by file,
from the one that runs this; nothing else can be imported there, and pip checks that nothing is missing or too old.
So a requirement that is not declared is noticed, and nothing is downloaded or unpacked a second time.
"""
import os
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from report import ROOT, check, closing, record, run

LIGHT = """
import sys, medbridge, medbridge.evaluation.evaluate, medbridge.datasets.registry
assert "torch" not in sys.modules, "torch was imported"
from medbridge import MedBridge, experts
expert = experts.load("lite0-imagenet")
print(medbridge.__file__, expert.depth)
"""
TYPED = "import medbridge, pathlib; assert (pathlib.Path(medbridge.__file__).parent/'py.typed').is_file()"
DRAW = """
from medbridge import phantom
from medbridge.data.radiograph import write_image
write_image("radiograph.png", phantom.render("phantom-nih", 7, 1, size=256).pixels)
"""
PREDICT = ("predict", "radiograph.png", "--format", "csv")


# an environment of the wheel and what it declares

def add_required(of: metadata.Distribution, extras: set[str], found: dict) -> None:
    "Add to `found` what a distribution requires here, with these extras, and what that requires in turn."
    for requirement in map(Requirement, of.requires or ()):
        name, marker = canonicalize_name(requirement.name), requirement.marker
        applies = marker is None or any(marker.evaluate(dict(extra=extra)) for extra in ("", *extras))
        key = name, frozenset(requirement.extras)
        if not applies or key in found: continue
        found[key] = metadata.distribution(name)
        add_required(found[key], requirement.extras, found)


def link(distributions, site: Path) -> None:
    "Links to each file of some distributions of this environment, none to what lies beside them."
    for distribution in distributions:
        for file in distribution.files or ():
            target = site/file
            if ".." in file.parts or target.exists(): continue   # scripts; a file that two distributions bring
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(distribution.locate_file(file))


def install(folder: Path) -> Path | None:
    "Python of an environment in which the wheel and what it declares can be imported, and nothing else."
    if not check("the wheel is built", sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder): return None
    ok, output, seconds = run(sys.executable, "-m", "venv", "--without-pip", folder/"venv")
    python = folder/"venv/bin/python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    if ok: ok, output, seconds = run(*pip, "install", "-q", "--no-deps", "--no-index", next(folder.glob("*.whl")))
    if not record("the wheel installs into an empty environment", ok, output, seconds): return None
    started, found = time.time(), {}
    site = next(folder.glob("venv/lib/*/site-packages"))
    add_required(next(iter(metadata.distributions(path=[str(site)]))), set(), found)
    link(found.values(), site)
    ok, output, _ = run(*pip, "check")
    name = f"what it requires is there: {len({name for name, _ in found})} distributions, and no others"
    return python if record(name, ok and len(found) > 10, output, time.time() - started) else None


def use(python: Path, folder: Path) -> None:
    "What a user does first, outside the checkout."
    ok, output, seconds = run(python, "-c", LIGHT, cwd=folder)
    record("the installed package is imported outside the checkout", ok and str(ROOT) not in output, output, seconds)
    check("the installed package is typed", python, "-c", TYPED, cwd=folder)
    ok, output, seconds = run(python, "-c", DRAW, cwd=folder, MEDBRIDGE_CACHE=str(folder/"cache"))
    if ok: ok, output, seconds = run(python, "-m", "medbridge", *PREDICT, cwd=folder)
    answered = ok and "route: lite0-imagenet" in output and "Effusion" in output
    record("the installed package predicts for an image", answered, output, seconds)
    ok, output, seconds = run(python, "-m", "medbridge", "--help", cwd=folder)
    record("python -m medbridge --help", ok and "predict" in output, output, seconds)


def main() -> int:
    os.environ.pop("PYTHONPATH", None)   # the checkout, or anything else, must not be seen there
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder))
        if python: use(python, Path(folder))
    return closing()


if __name__ == "__main__": sys.exit(main())
