"""README.md from nbs/index.ipynb: its prose, its visible code and text outputs, and its pictures as files of figures/readme.

`--check` compares instead of writing: text and pictures must be those of the notebook.
"""
import base64
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = "<!-- Made from nbs/index.ipynb by `make readme`; edit the notebook. -->\n\n"
HIDDEN = ("#| hide", "#|hide")


def shown_code(source: str) -> str:
    "The code of a cell as a reader sees it; nothing where it is hidden."
    lines = source.splitlines()
    if source.startswith(HIDDEN) or any(line.startswith("#| echo: false") for line in lines): return ""
    return "\n".join(line for line in lines if not line.startswith("#|")).strip()


def said_of_picture(source: str) -> str:
    "What a cell's picture shows, in words, for those who do not see it."
    lines = [line.removeprefix("#| fig-alt:").strip() for line in source.splitlines() if line.startswith("#| fig-alt:")]
    return " ".join(lines)


def render_output(output: dict, pictures: dict[str, bytes], alt: str) -> str:
    "An output as Markdown; a picture joins `pictures` under the name of its file."
    data = output.get("data", {})
    if "image/png" in data:
        name = f"figures/readme/picture-{len(pictures) + 1}.png"
        pictures[name] = base64.b64decode("".join(data["image/png"]))
        if not alt: sys.exit(f"{name} needs a line `#| fig-alt: ...` in its cell: what it shows, in words")
        return f"![{alt}](./{name})"
    if "text/markdown" in data: return "".join(data["text/markdown"])
    if "text/plain" in data or output.get("output_type") == "stream":
        text = data.get("text/plain", output.get("text", ""))
        return "```\n" + "".join(text).strip() + "\n```"
    return ""


def render() -> tuple[str, dict[str, bytes]]:
    "README.md and its pictures."
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads((ROOT/"nbs/index.ipynb").read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown": parts.append(source)
        if cell["cell_type"] != "code": continue
        code = shown_code(source)
        if code: parts.append(f"```python\n{code}\n```")
        if source.startswith(HIDDEN): continue
        alt = said_of_picture(source)
        parts += [render_output(output, pictures, alt) for output in cell.get("outputs", [])]
    return HEAD + "\n\n".join(part.strip() for part in parts if part) + "\n", pictures


def main() -> None:
    text, pictures = render()
    wanted = {"README.md": text.encode(), **pictures}
    if "--check" in sys.argv:
        wrong = [n for n, content in wanted.items() if not (ROOT/n).is_file() or (ROOT/n).read_bytes() != content]
        if wrong: sys.exit(f"not up to date: {', '.join(wrong)}; run `make readme`")
        return
    for name, content in wanted.items():
        (ROOT/name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT/name).write_bytes(content)


if __name__ == "__main__": main()
