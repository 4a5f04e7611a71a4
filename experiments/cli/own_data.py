"""The data of `experiments.measure`: read, cut to equal tokens, written with their controls."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from epx.data import anything, labels
from epx.types import require

MOST_TOKENS = 2**22  # of a file
LENGTH = 128  # tokens of an example, where the data allow it
LEAST_EXAMPLES = 50
STEP_TOKENS = 4096
FEWEST_STEPS = 200  # of one pass, before examples are taken fewer at a time
CHUNK, EVALUATIONS = 10, 4


class Data(NamedTuple):
    """A file as it is measured.

    Attributes:
      name: of the file.
      tokens_NxT: int32 examples, the last tenth held out.
      vocab: V.
      inputs_NxR: float32, what is given with an example, or None.
      bytes_per_token: of the file; 0 where bytes say nothing.
      unit: what a token is.
      batch, steps: of one pass.
    """

    name: str
    tokens_NxT: np.ndarray
    vocab: int
    inputs_NxR: np.ndarray | None
    bytes_per_token: float
    unit: str
    batch: int
    steps: int

    @property
    def coded(self) -> int:
        """Coded tokens of an example: of labels only the label."""
        return 1 if self.inputs_NxR is not None else self.tokens_NxT.shape[1]


def read(paths: Sequence[str], label: str, inputs: Sequence[str]) -> list[Data]:
    """The files at equal tokens.

    Args:
      paths: files or folders.
      label: column of a CSV file whose labels are measured; empty reads every file as tokens.
      inputs: columns that are given; empty means all others.

    Raises:
      ValueError: as `anything.read` and `labels.labelled`; or two files of one name.
    """
    names = [Path(path).name for path in paths]
    twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
    require("file", ", ".join(paths), not twice, f"files of different names; two are {twice}")
    if label:
        return _equal([_labelled(path, label, inputs) for path in paths])
    sources = [anything.read(path) for path in paths]
    tokens = min(MOST_TOKENS, *(len(source.tokens_N) for source in sources))
    length = max(8, min(LENGTH, 2 ** int(math.log2(tokens / 2 / LEAST_EXAMPLES))))
    return _equal([_tokens(source, length, tokens) for source in sources])


def _tokens(source: anything.Source, length: int, tokens: int) -> Data:
    rows_NxT = anything.examples(source, length, tokens // (source.length or length))
    name, unit, size = _label(source.name), source.unit, source.bytes_per_token
    return Data(name, rows_NxT, source.vocab, None, size, unit, 0, 0)


def _label(name: str) -> str:
    """The name of a file as a label, in which braces would name keys of the config."""
    return name.replace("{", "(").replace("}", ")")


def _labelled(path: str, label: str, inputs: Sequence[str]) -> Data:
    """A label a row, after a token that says nothing and comes with the inputs."""
    found = labels.labelled(path, label, tuple(inputs))
    rows_Nx2 = np.stack([np.zeros_like(found.labels_N), found.labels_N], axis=1)[:MOST_TOKENS]
    vectors = found.inputs_NxR[:MOST_TOKENS]
    return Data(_label(found.name), rows_Nx2, len(found.classes), vectors, 0.0, "label", 0, 0)


def _equal(found: list[Data]) -> list[Data]:
    """The data with batches and steps of equal tokens."""
    coded = min(len(data.tokens_NxT) * data.coded for data in found)
    result = []
    for data in found:
        count, length = coded // data.coded, data.tokens_NxT.shape[1]
        bound = f"at least {LEAST_EXAMPLES} examples; these are {count} of {length} tokens"
        require("file", data.name, count >= LEAST_EXAMPLES, f"data of {bound}")
        data = data._replace(tokens_NxT=data.tokens_NxT[:count])
        if data.inputs_NxR is not None:
            data = data._replace(inputs_NxR=data.inputs_NxR[:count])
        result.append(data)
    longest = max(result, key=lambda data: data.tokens_NxT.shape[1])
    fewest, length = _train(longest), longest.tokens_NxT.shape[1]
    batch = _even(min(STEP_TOKENS // length, fewest // FEWEST_STEPS))
    # Batches of equal tokens; of files whose examples have one length, also of equal examples.
    others = [round(batch * length / data.tokens_NxT.shape[1]) for data in result]
    result = [data._replace(batch=max(1, other)) for data, other in zip(result, others)]
    steps = whole_steps(min(_train(data) // data.batch for data in result))
    return [data._replace(steps=steps) for data in result]


def _even(examples: float) -> int:
    """A batch of about this many examples that a device can divide."""
    return max(1, int(examples) if examples < 8 else int(examples) // 4 * 4)


def _train(data: Data) -> int:
    return len(data.tokens_NxT) - held_out(data)


def held_out(data: Data) -> int:
    """The number of examples that the generator `tokens` keeps for evaluation."""
    return -(-len(data.tokens_NxT) // 10)


def whole_steps(steps: float) -> int:
    """Steps that chunks and evaluations divide, at least one of each."""
    unit = CHUNK * EVALUATIONS
    return max(unit, int(steps) // unit * unit)


def variants(data: Data) -> dict[str, np.ndarray]:
    """The examples of the data and of their controls, by the label of each."""
    coded = data.tokens_NxT[:, -data.coded :]
    controls = {
        f"{data.name}, {name}": tokens for name, tokens in anything.controls(coded, data.vocab)
    }
    free = data.tokens_NxT[:, : -data.coded]
    return {data.name: data.tokens_NxT} | {
        name: np.concatenate([free, tokens], axis=1) for name, tokens in controls.items()
    }


def write(found: Iterable[Data], folder: Path) -> dict[str, Path]:
    """Write all examples as files that the generator `tokens` reads; their paths by label."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for number, data in enumerate(found):
        for kind, (name, tokens_NxT) in enumerate(variants(data).items()):
            arrays: dict[str, Any] = {"tokens": tokens_NxT}
            if data.inputs_NxR is not None:
                vectors_NxR = data.inputs_NxR
                arrays["coded"] = np.broadcast_to([False, True], tokens_NxT.shape)
                arrays["side"] = np.stack([vectors_NxR, np.zeros_like(vectors_NxR)], axis=1)
            paths[name] = folder / f"{number:02d}-{kind}.npz"
            np.savez(paths[name], **arrays)
    return paths
