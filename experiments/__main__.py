"""List the binaries, one per line."""

import ast
from pathlib import Path

FOLDER = Path(__file__).parent


def binaries() -> dict[str, str]:
    """The first line of the docstring of each binary, by name."""
    files = [*FOLDER.glob("*.py"), *FOLDER.glob("*/__main__.py")]
    first_lines = {}
    for file in sorted(files):
        text = file.read_text()
        if '__name__ == "__main__"' in text and file != Path(__file__):
            name = file.parent.name if file.stem == "__main__" else file.stem
            doc = ast.get_docstring(ast.parse(text)) or ""
            first_lines[name] = doc.partition("\n")[0]
    return first_lines


if __name__ == "__main__":
    print("Run one as python -m experiments.NAME; --help lists its flags.\n")
    for name, line in binaries().items():
        print(f"  {name:9} {line}")
