"""Prepares the texts and chess games that worlds are cut from, and shows what a world looks like.

    python -m experiments.data list
    python -m experiments.data prepare NAME...    downloads what it needs; the same command goes on
    python -m experiments.data verify NAME...     exit status 1 where one is damaged or not there
    python -m experiments.data show eca:tiny --config.generator.rule=30 --examples=3

NAME is one of the list, or a file in PGN, whose games are then parsed by all cores and those
skipped are named by `verify`. `show` takes a world as experiments.train takes its --config, and
prints decoded examples and what one wants to know before training. All take seconds, but `prepare
gnubook` takes minutes.
"""

from pathlib import Path
from types import ModuleType

from absl import flags

from epx.data import cache as caches
from epx.data import texts
from epx.data.chess import database
from epx.run import config as components
from experiments.cli import app, cores

# The generators that read prepared corpora, and where those come from.
MODULES = {"text": texts, "chess": database}
COMMANDS = ("list", "prepare", "verify", "show")

FLAGS = flags.FLAGS
flags.DEFINE_integer("examples", 4, "of `show`: examples to print", lower_bound=0)


def main(words: list[str], overrides: dict[str, str]) -> int:
    """Runs one command; returns the exit code."""
    command, *names = words or [""]
    if command not in COMMANDS:
        near = components.suggest(command, COMMANDS)
        app.fail(f"{command or 'no command'}: {near}commands are {', '.join(COMMANDS)}", 2)
    if overrides and command != "show":
        app.fail(f"--config.{next(iter(overrides))}: only `show` takes a config", 2)
    if command == "list":
        _expect(not names, "list takes no name")
        print(table())
        return 0
    if command == "show":
        _expect(len(names) == 1, "show takes one world, such as show eca:tiny")
        from experiments import show

        return show.world(names[0], overrides, FLAGS.examples)
    _expect(names, f"{command} takes a name: {', '.join(rows())}")
    found = [module(name) for name in names]
    act = prepare if command == "prepare" else verify
    return max(act(name, where) for name, where in zip(names, found))


def _expect(legal: object, message: str) -> None:
    if not legal:
        app.fail(message, 2)


def rows() -> dict[str, tuple[str, caches.Listed]]:
    """By name: the generator that reads a prepared corpus, and what the cache holds of it."""
    return {row.name: (kind, row) for kind, where in MODULES.items() for row in where.listing()}


def module(name: str) -> ModuleType:
    """Where a prepared corpus comes from; an unknown name ends the process."""
    known = rows()
    if name in known:
        return MODULES[known[name][0]]
    if Path(name).is_file():
        return database
    near = components.suggest(name, known)
    app.fail(f"{name}: no such corpus; {near}known are {', '.join(known)}, and files in PGN", 2)


def table() -> str:
    """The prepared corpora, a line each."""
    lines = [("name", "generator", "in the cache", "sha256", "licence", "")]
    for kind, row in rows().values():
        lines.append((row.name, kind, row.held, (row.sha256 or "")[:12], row.licence, row.about))
    widths = [max(map(len, column)) for column in zip(*lines)]
    padded = ("  ".join(word.ljust(width) for word, width in zip(line, widths)) for line in lines)
    return "\n".join([*(line.rstrip() for line in padded), f"\ncache: {caches.folder()}"])


def prepare(name: str, where: ModuleType) -> int:
    """Puts a corpus into the cache, unless it is there, and says where; 1 where it cannot."""
    app.say(f"{name}: preparing it in {caches.folder()}")
    workers = {"workers": cores.granted()} if where is database else {}
    try:
        where.prepare(name, report=lambda line: app.say(f"{name}: {line}"), **workers)
    except (ValueError, OSError) as error:
        app.say(f"data: {name}: {error}")
        return 1
    row = where.listed(name)
    print(f"{name}: {row.held}{f' in {row.file}' if row.size else ''}")
    return int(row.file is not None and row.size is None)


def verify(name: str, where: ModuleType) -> int:
    """Prints whether a corpus is the one that was prepared; 1 where it is not."""
    found = where.verify(name)
    print(f"{found.name}: {found.state}: {found.detail}")
    return int(found.state != "ok")


if __name__ == "__main__":
    app.launch(main, __doc__, takes_words=True)
