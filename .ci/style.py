"""How notebooks are written, in figures of which each should be small: the bars of the ratchet."""
import ast
import io
import json
import tokenize
from dataclasses import dataclass, field
from pathlib import Path

BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension, ast.Assert, ast.match_case)
COMPLEX = 15   # McCabe; functions above it are counted


@dataclass
class Style:
    "Raw counts over the code cells of some notebooks: of the library (export cells) and of all other cells."
    library: list[str] = field(default_factory=list)       # lines that are not empty
    tests: list[str] = field(default_factory=list)
    library_nodes: list[int] = field(default_factory=list)  # of the syntax tree, for each line
    test_nodes: list[int] = field(default_factory=list)
    library_joins: int = 0                                  # semicolons between statements
    test_joins: int = 0
    cells: list[int] = field(default_factory=list)          # lines of each export cell
    followed: list[bool] = field(default_factory=list)      # whether a cell that defines is followed by one that uses
    complexity: list[tuple[int, str]] = field(default_factory=list)


def code_cells(path: Path) -> list[str]:
    "Sources of the code cells of a notebook."
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def is_export(source: str) -> bool:
    "Whether one of the first four lines says that a cell goes into the library."
    first = [line.replace(" ", "") for line in source.split("\n")[:4]]
    return any(line.startswith("#|export") for line in first)


def tree_of(source: str) -> ast.Module | None:
    "The syntax tree, IPython's lines left out; None where a cell is no Python."
    lines = ["pass" if line.lstrip().startswith(("%", "!")) else line for line in source.split("\n")]
    try: return ast.parse("\n".join(lines))
    except SyntaxError: return None


def nodes_by_line(tree: ast.Module) -> list[int]:
    "Nodes of the syntax tree that start on each line that has any."
    counts: dict[int, int] = {}
    for node in ast.walk(tree):
        if hasattr(node, "lineno"): counts[node.lineno] = counts.get(node.lineno, 0) + 1
    return list(counts.values())


def joins(source: str) -> int:
    "Semicolons outside strings and comments."
    try: tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError): return 0
    return sum(t.type == tokenize.OP and t.string == ";" for t in tokens)


def mccabe(function: ast.AST) -> int:
    "Cyclomatic complexity: one and the branches, the functions inside counted with it."
    count = 1
    for node in ast.walk(function):
        if isinstance(node, BRANCHES): count += 1
        if isinstance(node, ast.comprehension): count += len(node.ifs)
        if isinstance(node, ast.BoolOp): count += len(node.values) - 1
    return count


def add_library_cell(style: Style, source: str, follower: str | None) -> None:
    tree = tree_of(source) or ast.Module([], [])
    lines = [line for line in source.split("\n") if line.strip()]
    style.library += lines
    style.library_nodes += nodes_by_line(tree)
    style.library_joins += joins(source)
    style.cells.append(len(lines) - 1)
    if any(isinstance(s, (ast.FunctionDef, ast.ClassDef)) for s in tree.body):
        style.followed.append(follower is not None and not is_export(follower))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef): style.complexity.append((mccabe(node), node.name))


def add_test_cell(style: Style, source: str) -> None:
    tree = tree_of(source)
    style.tests += [line for line in source.split("\n") if line.strip()]
    if tree is not None: style.test_nodes += nodes_by_line(tree)
    style.test_joins += joins(source)


def measure(paths: list[Path]) -> Style:
    "Counts over some notebooks."
    style = Style()
    for path in paths:
        cells = code_cells(path)
        for source, follower in zip(cells, [*cells[1:], None]):
            if is_export(source): add_library_cell(style, source, follower)
            else: add_test_cell(style, source)
    return style


def quantile(values: list[int], q: float) -> int:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q*len(ordered)))] if ordered else 0


def share(part: int, whole: int, of=100) -> float:
    return round(of*part/max(1, whole), 2)


def too_long(lines: list[str], limit=120) -> int:
    return sum(len(line) > limit for line in lines)


def figures(paths: list[Path]) -> dict[str, tuple[float, float]]:
    "Each figure and its bar; all are better when smaller."
    core = measure(paths)
    tutorials = measure([p for p in paths if "tutorials" in p.parts])
    complicated = [name for count, name in core.complexity if count > COMPLEX]
    return {
        "library lines > 120 characters, %": (share(too_long(core.library), len(core.library)), 1),
        "other lines > 120 characters, %": (share(too_long(core.tests), len(core.tests)), 1),
        "tutorial lines > 100 characters": (too_long(tutorials.library + tutorials.tests, 100), 0),
        "AST nodes a line, p90, library": (quantile(core.library_nodes, 0.9), 14),
        "AST nodes a line, p90, other cells": (quantile(core.test_nodes, 0.9), 14),
        "joining ; per 1,000 lines, library": (share(core.library_joins, len(core.library), 1000), 5),
        "joining ; per 1,000 lines, other cells": (share(core.test_joins, len(core.tests), 1000), 5),
        "lines of an export cell, median": (quantile(core.cells, 0.5), 10),
        "lines of an export cell, p90": (quantile(core.cells, 0.9), 30),
        "definitions without an example below, %": (share(core.followed.count(False), len(core.followed)), 25),
        f"functions above McCabe {COMPLEX}": (len(complicated), 0),
    }
