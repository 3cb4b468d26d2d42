"The wheel is built, installed with its dependencies into an empty environment outside the checkout, and used there."
import sys
import tempfile
from pathlib import Path

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


def install(folder: Path) -> Path | None:
    "Python of an environment that holds the wheel; None when it could not be made."
    if not check("the wheel is built", sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder): return None
    ok, output, seconds = run(sys.executable, "-m", "venv", folder/"venv")
    python = folder/"venv/bin/python"
    pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    if ok: ok, output, seconds = run(*pip, "-c", ROOT/"constraints.txt", next(folder.glob("*.whl")))
    return python if record("the wheel installs into an empty environment", ok, output, seconds) else None


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
    with tempfile.TemporaryDirectory() as folder:
        python = install(Path(folder))
        if python: use(python, Path(folder))
    return closing()


if __name__ == "__main__": sys.exit(main())
