"""Records that travel: small copies without states, packed into one file and read from elsewhere.

A packed record is a zip file of JSON and npz. It is data: nothing in it is imported, executed or
unpickled, and only members of a record's own names and of bounded size are taken out of it.
"""

import contextlib
import importlib.util
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from epx import files, record
from epx.record import Arrays, Record, RecordError
from epx.types import require

MOST_BYTES = 2**32  # of all members, unpacked
MOST_MEMBERS = 10**6
# Of the rows of a small copy the first are kept as they are, and later ones as means over so many.
WHOLE_STEPS, POOLED_STEPS = 1000, 64


def export(
    source: Path | str, target: Path | str, keep: int | None = None, small: bool = False
) -> None:
    """Write a small copy of a complete record, which can be read but not resumed.

    It has no states; its arrays are compressed and its rows are in one file.

    Args:
      source: the record.
      target: folder of the copy, which does not exist yet.
      keep: number of newest evaluations to copy; None copies all. Final numbers need only the last.
      small: leave out the norms of gradients, copy the losses after 1000 steps as means over up to
        64 steps, and all other evaluations (without `keep` every one) as means over their held-out
        examples, or over those of each part of a mixture. The sums of losses up to an evaluation or
        the end of a pass stay. Standard errors are lost, which are not needed where the seeds do
        not share their examples.

    Raises:
      RecordError: the record is not complete or cannot be read, or the target exists.
    """
    run, target = record.load(source), Path(target)
    if not run.done:
        raise RecordError(f"{source} is not complete; start its command again before it is copied")
    if target.exists():
        raise RecordError(f"{target} exists; remove it or choose another folder")
    rows = _pooled(run) if small else run.rows
    arrays = {record.row_path(target, 0): rows, target / "baselines.npz": run.baselines}
    steps = sorted(run.evals)
    whole = steps[-keep:] if keep else [] if small else steps
    for step in steps if small else whole:
        values = run.evals[step]
        if step not in whole:
            values = _means(values)
        arrays[record.eval_path(target, step)] = values
    for path, values in arrays.items():
        record.write_arrays(path, values, compressed=True)
    for name in ("config", "env", "done"):
        record.write_json(target / f"{name}.json", getattr(run, name))


def _pooled(run: Record) -> Arrays:
    """The rows with means of later losses and of the tokens that they are of.

    No mean is over an evaluation, the end of a pass, or the end of what a member learns.
    """
    rows = {name: row for name, row in run.rows.items() if name != "grad_norm"}
    nats_MxK, tokens_MxK = rows["nats"], rows["coded_tok"]
    step_K = np.arange(nats_MxK.shape[1])
    apart = [
        np.where(step_K < WHOLE_STEPS, step_K, WHOLE_STEPS + step_K // POOLED_STEPS),
        np.searchsorted(sorted(run.evals), step_K, side="right"),
        *rows["passes"],
        *(tokens_MxK > 0),
        *np.isfinite(nats_MxK),
    ]
    is_first_K = np.any([np.diff(values_K, prepend=-1) != 0 for values_K in apart], axis=0)
    first_G = np.flatnonzero(is_first_K)
    counts_G = np.diff(first_G, append=len(step_K))
    for name, values_MxK in (("nats", nats_MxK), ("coded_tok", tokens_MxK)):
        sums_MxG = np.add.reduceat(values_MxK.astype(np.float64), first_G, axis=1)
        rows[name] = np.repeat(sums_MxG / counts_G, counts_G, axis=1).astype(np.float32)
    return rows


def _means(evaluation: Arrays) -> Arrays:
    """The evaluation with one entry for each part, weighted so that their mean is that of all.

    `examples` counts what is in each entry.
    """
    parts_MxE = evaluation.get("part", np.zeros_like(evaluation["coded_tok"]))
    is_part_PxMxE = np.stack([parts_MxE == part for part in range(parts_MxE.max() + 1)])
    weight_PxMxE = is_part_PxMxE * (len(is_part_PxMxE) / parts_MxE.shape[1])
    means = {
        name: np.einsum("pme,me->mp", weight_PxMxE, values.astype(np.float64))
        for name, values in evaluation.items()
    }
    counts_MxP = is_part_PxMxE.sum(2).T
    if "part" in evaluation:
        means["part"] = np.where(counts_MxP > 0, np.arange(len(is_part_PxMxE)), -1)
    return means | {"examples": counts_MxP}


def pack(source: Path | str, target: Path | str, keep: int = 1) -> int:
    """Write small copies of all records below a folder into one zip file.

    Args:
      source: a record, or a folder with records below it.
      target: the file, which does not exist yet.
      keep: newest evaluations that are kept whole, as in `export`; the others are means.

    Returns:
      The number of records.

    Raises:
      RecordError: there are no records, or one is not complete.
    """
    source, target = Path(source), Path(target)
    found = record.find(source)
    if not found:
        raise RecordError(f"{source} holds no records")
    with tempfile.TemporaryDirectory() as scratch:
        copies = Path(scratch) / "records"
        for path in found:
            export(path, copies / path.relative_to(source), keep, small=True)
        with (
            files.replacing(target) as handle,
            zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for file in sorted(path for path in copies.rglob("*") if path.is_file()):
                # Equal records make equal files.
                name = file.relative_to(copies).as_posix()
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return len(found)


@contextlib.contextmanager
def opened(key: str, reference: str) -> Iterator[Path]:
    """The folder of records that a reference names, as long as the context is open.

    Args:
      key: the flag or argument, for the message of a refusal.
      reference: a folder, a `.zip` that `pack` made, or an address such as `s3://...` of either,
        which needs the package fsspec.

    Raises:
      ValueError: there is no such file, or the package is missing.
      RecordError: the file is no packed record, or cannot be fetched.
    """
    if "://" not in reference and not reference.endswith(".zip"):
        yield files.folder(key, reference)
        return
    with tempfile.TemporaryDirectory(prefix="epx-records-") as scratch:
        if "://" in reference:
            found = _fetched(key, reference, Path(scratch))
        else:
            found = files.existing(key, reference, "a folder, or a .zip of packed records")
        if found.is_file():
            _unpack(found, folder := Path(scratch) / "unpacked")
            found = folder
        yield found


def load(reference: Path | str) -> Record:
    """A record from a folder, a packed file, or an address of one of them.

    Raises:
      ValueError: as `opened`.
      RecordError: as `record.load`, or a file holds several records.
    """
    with opened("record", str(reference)) as folder:
        if (folder / "config.json").exists():
            return record.load(folder)
        found = record.find(folder)
        if len(found) > 1:
            raise RecordError(f"{reference} holds {len(found)} records; one is needed")
        return record.load(found[0] if found else folder)


def _fetched(key: str, address: str, scratch: Path) -> Path:
    """A copy of what an address holds."""
    has_package = importlib.util.find_spec("fsspec") is not None
    accepted = "a folder or a .zip; addresses need the package fsspec (pip install fsspec)"
    require(key, address, has_package, accepted)
    import fsspec

    try:
        system, path = fsspec.url_to_fs(address)
        target = scratch / (PurePosixPath(path).name or "records")
        system.get(path, str(target), recursive=not address.endswith(".zip"))
    except Exception as error:  # every kind of storage raises errors of its own
        raise RecordError(f"{address} cannot be fetched: {error}") from error
    return target


def _unpack(archive: Path, folder: Path) -> None:
    """Take the members of records out of a zip file.

    Raises:
      RecordError: it is no zip file, or too large.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [info for info in packed.infolist() if _is_member(info.filename)]
            if len(members) > MOST_MEMBERS or sum(i.file_size for i in members) > MOST_BYTES:
                raise RecordError(f"{archive} unpacks to more than {MOST_BYTES:,} bytes")
            for info in members:
                path = folder / info.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(packed.read(info))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
        raise RecordError(f"{archive} is no packed record: {error}") from error


def _is_member(name: str) -> bool:
    """Whether a name is that of a file of a record, below the folder where it is unpacked."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name
    return inside and path.suffix in (".json", ".npz")
