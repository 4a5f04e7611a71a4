"""Problems of arithmetic, in signs or in words, whose answers are charged.

Both operands are uniform with up to `digits` digits, written with leading zeros; of a difference
the larger one comes first. Given the question the answer is certain, unless the labels are
controls: with `shuffled` they belong to other problems, in training and in evaluation, and with
`fixed` to a permutation of all problems that is drawn once, so that they can be learned by heart
alone. The controls have the format, and the frequencies of the answers, but no arithmetic. With a
`place` one digit of the answer is asked for: each place of a sum is a skill (arXiv 2307.14430).

>>> generator = make(jax.random.key(0), operation="multiply", digits=2, notation="words")
>>> generator.spec
Spec(vocab=42, length=19, size=None, version=1, held_out=0, given=15, side=0)
>>> "".join(generator.symbols(generator.example(jax.random.key(2), 0).tokens_T))
'27 times 28 is 0756'
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _laws
from epx.generators._bounds import MAX_LENGTH
from epx.generators.texts import _decimal, _script
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(digits=1)

_STATIC = {"static": True}
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*"}
_WORDS = {"add": " plus ", "subtract": " minus ", "multiply": " times "}
_NOTATIONS = ("signs", "spaced", "words")
_LABELS = ("true", "shuffled", "fixed")
_MARKS = _script.VOCAB - _script.DIGIT  # tokens from the first digit on
_MOST_DIGITS = 4  # a product of two such numbers is within int32
_MOST_LISTED = 3  # digits with which all problems can be listed


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Arithmetic:
    """The generator made by `make`. Members of an ensemble may vary the fixed labels.

    Attributes:
      below: int32, what operands are below.
      problem_N: of each problem a * 10^digits + b the one whose answer is its label; None where
        labels are not fixed.
      answers_below_A: int32, problems whose answer is below 0, 1, 2, ...; None where labels are not
        shuffled.
      operation, notation, labels: as in `make`.
      digits: of an operand.
      place: as in `make`.
      length: T; what is left before the question are spaces.
      marked: as in `make`.
    """

    below: jax.Array
    problem_N: jax.Array | None
    answers_below_A: jax.Array | None
    operation: str = field(metadata=_STATIC)
    notation: str = field(metadata=_STATIC)
    labels: str = field(metadata=_STATIC)
    digits: int = field(metadata=_STATIC)
    place: int = field(metadata=_STATIC)
    length: int = field(metadata=_STATIC)
    marked: bool = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; only the answer is coded."""
        answer = 1 if self.place else answer_digits(self.operation, self.digits)
        given, marks = self.length - answer, _MARKS if self.marked else 0
        return Spec(
            _script.VOCAB, self.length, None, VERSION, given=given, side=marks, masked=self.marked
        )

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The problem drawn with `key`; `index` is not used."""
        own_key, other_key = jax.random.split(key)
        a, b = self._operands(own_key)
        labelled = self._operands(other_key) if self.labels == "shuffled" else (a, b)
        question_T = self._question(a, b)
        tokens_T = jnp.concatenate([question_T, self._answer(*labelled)])
        coded_T, is_digit_R = jnp.arange(self.length) >= self.spec.given, jnp.arange(_MARKS) < 10
        marks_TxR = (coded_T[:, None] & is_digit_R).astype(jnp.float32)
        return Example(tokens_T, coded_T, marks_TxR if self.marked else None)

    def oracle_nats(self, example: Example) -> jax.Array:
        """Nats of each digit of the answer given the question, float32 of shape T."""
        logits_TxV = self.oracle_logits(example.tokens_T)
        nats_T = -jnp.take_along_axis(logits_TxV, example.tokens_T[:, None], axis=1)[:, 0]
        return jnp.where(example.coded_T, nats_T, 0.0)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array:
        """Log probabilities TxV: the answer is certain, or that of any problem."""
        given = self.spec.given
        if self.labels == "shuffled":
            law = self._law_of_shuffled(tokens_T[given:] - _script.DIGIT)
        else:
            a, b = self._operands_in(tokens_T)
            law = _laws.certain(self._answer(a, b), _script.VOCAB)
        question = jnp.broadcast_to(
            _laws.uniform(_script.VOCAB, _script.VOCAB), (given, law.shape[1])
        )
        return jnp.concatenate([question, law])

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The text."""
        return _script.symbols(tokens_T)

    def _operands(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        pair = jax.random.randint(key, (2,), 0, self.below, jnp.int32)
        if self.operation == "subtract":
            return pair.max(), pair.min()
        return pair[0], pair[1]

    def _answer(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The tokens of the answer, or of what stands in its place."""
        digits = _decimal.digits(self._label(a, b), answer_digits(self.operation, self.digits))
        if self.place:
            digits = digits[len(digits) - self.place][None]
        return digits + _script.DIGIT

    def _label(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """The answer as a number, or what stands in its place."""
        if self.labels == "fixed":
            problem = self.problem_N[a * 10**self.digits + b]
            a, b = problem // 10**self.digits, problem % 10**self.digits
        return compute(self.operation, a, b)

    def _question(self, a: jax.Array, b: jax.Array) -> jax.Array:
        between, after = _texts(self.operation, self.notation, self.place)
        first, second = (_decimal.digits(n, self.digits) + _script.DIGIT for n in (a, b))
        words = [jnp.array(_script.tokens(text), jnp.int32) for text in (between, after)]
        parts = [first, words[0], second, words[1]]
        left = self.spec.given - sum(map(len, parts))
        return jnp.concatenate([jnp.zeros(left, jnp.int32), *parts])

    def _operands_in(self, tokens_T: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The operands of a question, read from its tokens."""
        between, after = _texts(self.operation, self.notation, self.place)
        end = self.spec.given - len(after)
        second = tokens_T[end - self.digits : end]
        first_end = end - self.digits - len(between)
        first = tokens_T[first_end - self.digits : first_end]
        return tuple(_decimal.number(digits - _script.DIGIT) for digits in (first, second))

    def _law_of_shuffled(self, answer_T: jax.Array) -> jax.Array:
        """Log probabilities of each digit given those before it, from the counts of all answers."""
        count = len(answer_T)
        weights = 10 ** np.arange(count - 1, -1, -1)
        answer_T = jnp.clip(answer_T, 0, 9)
        before_T = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(answer_T * weights)[:-1]])
        edges_Tx11 = before_T[:, None] + jnp.arange(11) * weights[:, None]
        counts_Tx10 = jnp.diff(self.answers_below_A[edges_Tx11], axis=1).astype(jnp.float32)
        shares_Tx10 = jnp.log(counts_Tx10) - jnp.log(counts_Tx10.sum(1, keepdims=True))
        law = jnp.full((count, _script.VOCAB), -jnp.inf, jnp.float32)
        return law.at[:, _script.DIGIT : _script.DIGIT + 10].set(shares_Tx10)


def make(
    key: jax.Array,
    operation: str = "multiply",
    digits: int = 2,
    notation: str = "signs",
    labels: str = "true",
    place: int = 0,
    length: int = 0,
    marked: bool = False,
) -> Arithmetic:
    """Problems of one operation.

    Args:
      key: draws the permutation of `labels=fixed`.
      operation: `add`, `subtract` or `multiply`.
      digits: of an operand, 1 to 4.
      notation: `signs`, as in 07*12=, `words`, as in 07 times 12 is, or `spaced`, signs between so
        many spaces that operands and answer have the places that they have in words.
      labels: `true` answers; `shuffled`, those of other problems; `fixed`, those of a permutation
        of all problems. The last two with at most 3 digits.
      place: the digit of a true answer that is asked for, 1 for the ones; 0: all of them.
      length: tokens of an example, to have those of other generators; 0: as many as are needed.
      marked: whether the answer is known to have digits alone, so that an observer gives other
        tokens no probability (`Spec.masked`), and learning that they do not occur costs nothing.

    Raises:
      ValueError: an argument outside these bounds.
    """
    for name, value, known in (
        ("operation", operation, tuple(_SIGNS)),
        ("notation", notation, _NOTATIONS),
        ("labels", labels, _LABELS),
    ):
        require(f"generator.{name}", value, value in known, ", ".join(known))
    most = _MOST_DIGITS if labels == "true" else _MOST_LISTED
    require_whole("generator.digits", digits, 1, most, f"with labels={labels}")
    answer = answer_digits(operation, digits)
    require_whole("generator.place", place, 0, answer if labels == "true" else 0, "true digits")
    needed = 2 * digits + sum(map(len, _texts(operation, notation, place)))
    needed += 1 if place else answer
    require_whole("generator.length", length, 0, MAX_LENGTH, "a batch of examples is in memory")
    fits = length == 0 or length >= needed
    require("generator.length", length, fits, f"0, or numbers from {needed} on, which this needs")
    problem_N, below_A = None, None
    if labels == "fixed":
        problem_N = _permutation(key, operation, digits)
    elif labels == "shuffled":
        below_A = _answers_below(operation, digits)
    below, length = jnp.int32(10**digits), length or needed
    static = (operation, notation, labels, digits, place, length, marked)
    return Arithmetic(below, problem_N, below_A, *static)


def compute(operation: str, a: jax.Array, b: jax.Array) -> jax.Array:
    """The answer of a problem, at least 0 where a >= b."""
    return {"add": a + b, "subtract": a - b, "multiply": a * b}[operation]


def answer_digits(operation: str, digits: int) -> int:
    """Digits of the answers to problems of operands with this many digits."""
    return {"add": digits + 1, "subtract": digits, "multiply": 2 * digits}[operation]


def _texts(operation: str, notation: str, place: int) -> tuple[str, str]:
    """What stands between the operands, and what after them."""
    words = _WORDS[operation], f" has as digit {place} " if place else " is "
    signs = _SIGNS[operation], f".{place}=" if place else "="
    spaced = tuple(sign.center(len(word)) for sign, word in zip(signs, words))
    return {"signs": signs, "spaced": spaced, "words": words}[notation]


def _problems(operation: str, digits: int) -> tuple[np.ndarray, np.ndarray]:
    """The operands of all problems a * 10^digits + b, ordered as they are drawn."""
    a, b = np.divmod(np.arange(100**digits), 10**digits)
    return (np.maximum(a, b), np.minimum(a, b)) if operation == "subtract" else (a, b)


def _permutation(key: jax.Array, operation: str, digits: int) -> jax.Array:
    """Of each problem the one whose answer is its label."""
    first, second = _problems(operation, digits)
    drawn = jax.random.permutation(key, jnp.arange(100**digits, dtype=jnp.int32))
    return jnp.asarray(first * 10**digits + second, jnp.int32)[drawn]


def _answers_below(operation: str, digits: int) -> jax.Array:
    """The number of problems with an answer below 0, 1, ..., int32."""
    answers = compute(operation, *_problems(operation, digits))
    counts = np.bincount(answers, minlength=10 ** answer_digits(operation, digits))
    return jnp.asarray(np.concatenate([[0], np.cumsum(counts)]), jnp.int32)
