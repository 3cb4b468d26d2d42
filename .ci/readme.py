"""README.md from nbs/index.ipynb: its prose, its visible code and text outputs, and its pictures as files of figures/readme.

`--check` compares instead of writing: text and pictures must be those of the notebook.
"""
import base64, json, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def render():
    cells = json.loads((ROOT/"nbs/index.ipynb").read_text(encoding="utf-8"))["cells"]
    parts, pictures = [], {}
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown": parts.append(source)
        elif cell["cell_type"] == "code":
            hidden = source.startswith(("#| hide", "#|hide"))
            lines = source.splitlines()
            if hidden or any(l.startswith("#| echo: false") for l in lines): shown = ""
            else: shown = "\n".join(l for l in lines if not l.startswith("#|")).strip()
            if shown: parts.append(f"```python\n{shown}\n```")
            if hidden: continue
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                if "image/png" in data:
                    name = f"figures/readme/picture-{len(pictures) + 1}.png"
                    pictures[name] = base64.b64decode("".join(data["image/png"]))
                    parts.append(f"![A picture made by the notebook](./{name})")
                elif "text/markdown" in data: parts.append("".join(data["text/markdown"]))
                elif "text/plain" in data or output.get("output_type") == "stream":
                    parts.append("```\n" + "".join(data.get("text/plain", output.get("text", ""))).strip() + "\n```")
    return "<!-- Made from nbs/index.ipynb by `make readme`; edit the notebook. -->\n\n" + "\n\n".join(p.strip() for p in parts) + "\n", pictures


text, pictures = render()
wanted = {"README.md": text.encode(), **pictures}
if "--check" in sys.argv:
    wrong = [n for n, content in wanted.items() if not (ROOT/n).is_file() or (ROOT/n).read_bytes() != content]
    if wrong: sys.exit(f"not up to date: {', '.join(wrong)}; run `make readme`")
else:
    for name, content in wanted.items():
        (ROOT/name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT/name).write_bytes(content)
