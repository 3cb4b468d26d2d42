"""The bars of style, sizes and plan: what may only get better.

    ratchet.py            prints each figure beside its bar; fails when one is worse than the best so far
    ratchet.py --write    keeps today's figures as the best so far (.ci/ratchet.json)

Also: core notebooks and figures are small, figures that a machine makes in minutes are not tracked, and no import
leads up from a folder to one above it (floors.py).
"""
import json
import subprocess
import sys
from pathlib import Path

from engine import ROOT
from floors import faults
from style import figures

BEST = ROOT/".ci/ratchet.json"
NOTEBOOK = 100_000
SIZES = {".png": 150_000, ".svg": 200_000}
FRONT_PAGE = 30_000
LARGEST = 2_000_000   # of a tracked file that is no asset


def notebooks() -> list[Path]:
    return [p for p in sorted((ROOT/"nbs").rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]


def compare(found: dict[str, tuple[float, float]], best: dict[str, float]) -> list[str]:
    "Print each figure, the best so far and its bar; the figures that got worse, in words."
    worse = []
    print(f"{'':42} {'now':>7} {'best':>7} {'bar':>5}")
    for name, (value, bar) in found.items():
        kept = best.get(name, value)
        mark = "worse" if value > kept else "" if value <= bar else "above its bar"
        print(f"{name:42} {value:7g} {kept:7g} {bar:5g}  {mark}".rstrip())
        if value > kept: worse.append(f"{name}: {value:g}, and it was {kept:g}")
    return worse


def tracked(folder: str) -> list[str]:
    "Files under a folder that git keeps; none outside of a checkout."
    done = subprocess.run(["git", "ls-files", "-z", "--", folder], cwd=ROOT, capture_output=True, text=True)
    return [name for name in done.stdout.split("\0") if name and (ROOT/name).is_file()]


def too_large() -> list[str]:
    "Notebooks and figures that are larger than they may be, in words."
    limits = {p: NOTEBOOK for p in notebooks() if "core" in p.relative_to(ROOT).parts}
    for name in tracked("figures"):
        limit = FRONT_PAGE if name == "figures/README.md" else SIZES.get(Path(name).suffix)
        if limit: limits[ROOT/name] = limit
    sizes = {path: path.stat().st_size for path in limits}
    return [f"{p.relative_to(ROOT)}: {sizes[p]/1000:.0f} kB, at most {limit/1000:.0f}"
            for p, limit in limits.items() if sizes[p] > limit]


def wrongly_tracked() -> list[str]:
    "What git should not keep: what a command makes, and files that are large and no asset of the package."
    smoke = tracked("figures/smoke")
    wrong = [f"figures/smoke: {len(smoke)} files are tracked; `make reproduce` makes them"] if smoke else []
    kept = [name for name in tracked(".") if not name.startswith("medbridge/assets/")]
    sizes = {name: (ROOT/name).stat().st_size for name in kept}
    return wrong + [f"{name}: {size/1000:.0f} kB are tracked" for name, size in sizes.items() if size > LARGEST]


def main() -> int:
    found = figures(notebooks())
    best = json.loads(BEST.read_text()) if BEST.is_file() else {}
    wrong = compare(found, best)
    if "--write" in sys.argv:
        BEST.write_text(json.dumps({name: value for name, (value, _) in found.items()}, indent=1) + "\n")
        print("written to .ci/ratchet.json")
        wrong = []
    wrong += too_large() + wrongly_tracked() + faults(ROOT/"medbridge")
    for line in wrong: print(f"wrong: {line}")
    print(f"{len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__": sys.exit(main())
