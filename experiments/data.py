"""List, prepare and verify the texts and chess games that generators read. Needs no JAX.

    python -m experiments.data list
    python -m experiments.data prepare NAME...    downloads what it needs; resumes
    python -m experiments.data verify NAME...     exit status 1 if one is damaged or not prepared

NAME is a name of the list, or a file in PGN, whose games are parsed on all cores; `verify` lists
the skipped games. `prepare gnubook` takes minutes, the others seconds.
"""

from epx.data import cache, catalogue
from experiments.cli import app, host, rendering

COMMANDS = ("list", "prepare", "verify")


def main(words: list[str], overrides: dict[str, str]) -> int:
    """Run one command; return the exit code."""
    command, *names = words or [""]
    if command == "show":
        app.fail("show is a separate binary: python -m experiments.show CONFIG", 2)
    _expect(command in COMMANDS, f"{command or 'no command'}: commands are {', '.join(COMMANDS)}")
    _expect(not overrides, f"--config.{next(iter(overrides), '')}: {command} takes no config")
    if command == "list":
        _expect(not names, "list takes no name")
        print(table())
        return 0
    _expect(names, f"{command} takes a name: {', '.join(catalogue.CORPORA)}, or a file in PGN")
    for name in names:
        with app.config_errors():
            catalogue.find(name)
    run_command = prepare if command == "prepare" else verify
    return max(map(run_command, names))


def _expect(legal: object, message: str) -> None:
    if not legal:
        app.fail(message, 2)


def table() -> str:
    """A table of the prepared corpora."""
    rows = []
    for row in catalogue.listing():
        entry = row.entry
        sha256 = f"; sha256 {row.sha256[:12]}" if row.sha256 else ""
        rows.append((entry.name, entry.kind, row.state, f"{entry.about}; {entry.licence}{sha256}"))
    text = rendering.fitted_table(rows, ("name", "generator", "in the cache", "content"))
    return f"{text}\n\ncache: {cache.folder()}"


def prepare(name: str) -> int:
    """Put a corpus into the cache if it is missing; return 1 if that fails, else 0."""
    app.say(f"{name}: preparing it in {cache.folder()}")
    try:
        catalogue.prepare(
            name, report=lambda line: app.say(f"{name}: {line}"), workers=host.granted_cores()
        )
    except (ValueError, OSError) as error:
        app.say(f"data: {name}: {error}")
        return 1
    row = catalogue.status(name)
    print(f"{name}: {row.state}{f' in {row.file}' if row.size else ''}")
    return int(row.file is not None and row.size is None)


def verify(name: str) -> int:
    """Print the verification of a corpus; return 1 if it is not ok, else 0."""
    result = catalogue.verify(name)
    print(f"{result.name}: {result.state}: {result.detail}")
    return int(result.state != "ok")


if __name__ == "__main__":
    app.launch(main, __doc__, takes_words=True)
