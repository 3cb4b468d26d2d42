"""The plan of a package: which of its files import which, no circle, and no arrow up from a folder to one above it."""
import ast
from pathlib import Path

# what stands on each floor, from the ground up: folders of the package, and files at its root
FLOORS = (("basics", "compat", "markup", "notes", "options", "terminal"), ("data",), ("phantom", "experts", "evaluation"),
          ("datasets", "mixture"), ("training", "reading", "reproduction"), ("model",),
          ("methods", "explorers", "commands"),
          ("doctor", "cli", "widgets"), ("__main__",))
Arrows = dict[str, set[str]]


def module_names(package: Path) -> dict[str, Path]:
    "Dotted name of each file of a package; nbdev's index is none."
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        if parts[-1] == "_modidx": continue
        if parts[-1] == "__init__": parts.pop()
        names[".".join(parts)] = path
    return names


def faces(names: dict[str, Path]) -> dict[str, str]:
    "Names that a package's `__init__` gives lazily, from its table `_public`, and where they are defined."
    found = {}
    for name, path in names.items():
        if path.name != "__init__.py": continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != "_public": continue
            table = ast.literal_eval(node.value)
            for public, where in table.items() if isinstance(table, dict) else ():
                found[f"{name}.{public}"] = where if where in names else f"{name}.{where}"
    return found


def base(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    "The dotted name behind `from`, the dots of a relative import worked out."
    if not node.level: return node.module or ""
    parts = name.split(".")
    kept = len(parts) - node.level + (1 if is_package else 0)
    return ".".join([*parts[:kept], *([node.module] if node.module else [])])


def asked_for(tree: ast.Module, name: str, is_package: bool) -> list[str]:
    "Everything that a file imports, wherever in it the import stands, each as one dotted name."
    wanted = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import): wanted += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = base(node, name, is_package)
            wanted += [f"{start}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) and node.args:
            if isinstance(node.args[0], ast.Constant): wanted.append(str(node.args[0].value))
    return wanted


def arrows(package: Path) -> Arrows:
    "For each file of a package, the files of it that it imports. The package's own `__init__` is a face and has none."
    names = module_names(package)
    public = faces(names)
    found: Arrows = {}
    for name, path in names.items():
        found[name] = set()
        if name == package.name: continue
        for wanted in asked_for(ast.parse(path.read_text(encoding="utf-8")), name, path.name == "__init__.py"):
            target = public.get(wanted, wanted)
            while target and target not in names: target = target.rpartition(".")[0]   # a name inside a module
            if target and target not in (name, package.name): found[name].add(target)
    return found


def circles(graph: Arrows) -> list[list[str]]:
    "Groups of two or more that reach one another (Tarjan 1972)."
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if target not in order: visit(target)
            if target in stack: low[node] = min(low[node], low[target])
        if low[node] < order[node]: return
        group = stack[stack.index(node):]
        del stack[stack.index(node):]
        if len(group) > 1: groups.append(sorted(group))

    for node in sorted(graph):
        if node not in order: visit(node)
    return groups


def room(name: str) -> str:
    "The folder of a package that a file lies in, or the file where it lies at the root."
    return name.split(".")[1] if "." in name else name


def between_rooms(graph: Arrows) -> Arrows:
    "Arrows between folders and files of the root."
    found: Arrows = {}
    for name, targets in graph.items():
        others = {room(t) for t in targets} - {room(name)}
        found.setdefault(room(name), set()).update(others)
    return found


def faults(package: Path, floors=FLOORS) -> list[str]:
    "What is wrong with the plan of a package, in words; nothing when all arrows lead down."
    level = {name: floor for floor, names in enumerate(floors, 1) for name in names}
    graph = arrows(package)
    rooms = between_rooms(graph)
    words = [f"circle of files: {', '.join(group)}" for group in circles(graph)]
    words += [f"circle of folders: {', '.join(group)}" for group in circles(rooms)]
    words += [f"{name} stands on no floor" for name in sorted(rooms) if name not in level and name != package.name]
    files = {room(name) for name, path in module_names(package).items() if path.parent == package}
    for name, targets in sorted(graph.items()):
        for target in sorted(targets):
            here, there = room(name), room(target)
            if here == there or here not in level or there not in level: continue
            neighbours = level[here] == level[there] and {here, there} <= files   # files of the root, side by side
            if level[there] >= level[here] and not neighbours:
                words.append(f"{name} (floor {level[here]}) imports {target} (floor {level[there]})")
    return words
