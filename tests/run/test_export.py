"""Records that travel: packed into a file, read from elsewhere, and never trusted."""

import json
import sys
import types
import zipfile

import numpy as np
import pytest

import epx
from epx import record
from epx.analysis import ledger
from epx.record import RecordError
from epx.report import export, summary
from epx.report import parts as of_parts
from epx.types import Refusal
from tests.binaries import run
from tests.runs import rows, with_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.conftest import tiny_config as fixture

    folder = tmp_path_factory.mktemp("export") / "runs"
    rows(fixture.__wrapped__(), folder / "a")
    rows(fixture.__wrapped__() | {"observer": {"name": "counts"}}, folder / "deep" / "b")
    return folder


def cells(root):
    return [
        {k: v for k, v in cell.items() if k != "record"}
        for cell in summary.cells([record.load(path) for path in record.find(root)])
    ]


def records_of(reference):
    with export.opened("records", reference) as found:
        return record.find(found)


def test_every_number_is_recomputed_from_a_packed_file(folder, tmp_path):
    target = tmp_path / "x.zip"
    assert export.pack(folder, target) == 2
    assert target.stat().st_size < 2 * 10_000, "10 kB a record"
    with export.opened("records", str(target)) as unpacked:
        assert cells(unpacked) == cells(folder)
        assert not list(unpacked.rglob("ckpt"))
    assert not unpacked.exists()
    again = tmp_path / "again.zip"
    export.pack(folder, again)
    assert again.read_bytes() == target.read_bytes()


def test_the_losses_of_parts_are_in_a_small_copy(tiny_config, tmp_path):
    """Also where a part has other lengths, and where one has no example; errors are unknown."""
    parts = "iid length=4 law=constant; iid length=8; iid length=6"
    config = tiny_config | {
        "generator": {
            "name": "mixture",
            "parts": parts,
            "weights": "1 1 1",
            "held_out": "3 1 0",
            "size": 4096,
        },
        "observer": {"name": "counts"},
    }
    rows(config, tmp_path / "run")
    export.export(tmp_path / "run", tmp_path / "small", small=True)
    run, small = (summary.runs([record.load(tmp_path / name)])[0] for name in ("run", "small"))
    for step in run.record.evals:
        assert small.record.evals[step]["coded_tok"].shape == (2, 2)
        both = [of_parts.losses(r, step) for r in (run, small)]
        for seed, loss_P in both[0].items():
            np.testing.assert_allclose(both[1][seed], loss_P, rtol=1e-6)
            assert np.isnan(loss_P[2]) and not np.isnan(loss_P[:2]).any()
        ours, theirs = (ledger.measure(r.record, anchor="raw", step=step) for r in (small, run))
        for number in ("structure_nats", "entropy_nats", "exact_flops"):
            np.testing.assert_allclose(getattr(ours, number), getattr(theirs, number), rtol=1e-6)
        assert np.isnan(ours.anchor_error_nats).all() and (theirs.anchor_error_nats > 0).all()


def test_later_losses_of_a_small_copy_keep_their_sums_at_every_place_that_is_read(
    tiny_config, tmp_path, monkeypatch
):
    """Up to an evaluation and the end of a pass; one loss of one member is not a number."""
    monkeypatch.setattr(export, "WHOLE_STEPS", 5)
    monkeypatch.setattr(export, "POOLED_STEPS", 4)
    config = with_run(tiny_config, examples=112, repeats=3, chunk=3, steps=39) | {
        "observer": {"name": "counts"}
    }
    config |= {"eval": config["eval"] | {"every": 9}, "checkpoint": {"every": None, "keep": 1}}
    rows(config, tmp_path / "run")
    path = record.row_path(tmp_path / "run", 6)
    with np.load(path) as first:
        changed = dict(first)
    changed["nats"][1, 1] = np.nan
    record.write_arrays(path, changed)
    export.export(tmp_path / "run", tmp_path / "small", small=True)
    whole, small = (record.load(tmp_path / name) for name in ("run", "small"))
    passes_K = whole.rows["passes"][0]
    assert passes_K.max() == 2
    ends = {*whole.evals, *(np.flatnonzero(np.diff(passes_K)) + 1)}
    assert {9, 14, 18, 28} <= ends
    for name in ("nats", "coded_tok"):
        ours, theirs = small.rows[name], whole.rows[name]
        np.testing.assert_array_equal(ours[:, :5], theirs[:, :5])
        for end in ends:
            np.testing.assert_allclose(ours[:, :end].sum(1), theirs[:, :end].sum(1), rtol=1e-6)
    assert np.isnan(small.rows["nats"]).sum() == 1
    assert len(np.unique(small.rows["nats"][0])) < len(passes_K) * 0.7


def test_the_binaries_pack_and_report(folder, tmp_path):
    target = tmp_path / "x.zip"
    done = run("pack", f"--records={folder}", f"--output={target}")
    assert done.code == 0 and "2 records" in done.err, done.err
    plain, packed = (
        run("report", f"--records={where}", "--format=csv") for where in (folder, target)
    )
    assert packed.code == 0 and packed.out == plain.out
    claims = run("report", f"--records={target}", "--claims")
    assert claims.code == 0 and "no records of this figure" in claims.out
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]
    assert run("pack", f"--records={folder}", f"--output={target}").code == 2, "never overwritten"
    assert run("pack", f"--records={tmp_path / 'none'}", f"--output={tmp_path / 'y.zip'}").code == 1


def test_a_single_record_is_loaded_from_a_folder_or_a_file(folder, tmp_path):
    export.pack(folder / "a", tmp_path / "a.zip")
    found = epx.load(str(tmp_path / "a.zip"))
    assert found.config == epx.load(folder / "a").config and len(found.rows["nats"]) == 2
    export.pack(folder, tmp_path / "both.zip")
    with pytest.raises(RecordError, match="holds 2 records; one is needed"):
        epx.load(str(tmp_path / "both.zip"))


def test_only_members_of_records_are_taken_out(folder, tmp_path):
    """Names that lead elsewhere, other files and pickles stay where they are."""
    target = tmp_path / "evil.zip"
    export.pack(folder, target)
    with zipfile.ZipFile(target, "a") as archive:
        for name in ("../outside.json", "/absolute.json", "a\\..\\b.json", "run.py", "x.pkl"):
            archive.writestr(name, "{}")
    with export.opened("records", str(target)) as unpacked:
        names = {path.name for path in unpacked.rglob("*") if path.is_file()}
        assert not names & {"outside.json", "absolute.json", "b.json", "run.py", "x.pkl"}
        assert len(record.find(unpacked)) == 2
    assert not (tmp_path / "outside.json").exists()


def test_a_file_that_is_no_archive_or_too_large_is_refused(folder, tmp_path, monkeypatch):
    bad = tmp_path / "bad.zip"
    bad.write_bytes(b"PK and no more")
    with pytest.raises(RecordError, match="no packed record"):
        records_of(str(bad))
    export.pack(folder, tmp_path / "x.zip")
    monkeypatch.setattr(export, "MOST_BYTES", 1000)
    with pytest.raises(RecordError, match="unpacks to more than 1,000 bytes"):
        records_of(str(tmp_path / "x.zip"))
    with pytest.raises(Refusal, match=r"records='.*none\.zip': accepted a folder, or a \.zip"):
        records_of(str(tmp_path / "none.zip"))


class Storage:
    """A file system as fsspec has them."""

    def __init__(self, root):
        self._root = root

    def get(self, path, target, recursive):
        import shutil

        source = self._root / path
        if not source.exists():
            raise FileNotFoundError(path)
        (shutil.copytree if recursive else shutil.copy)(source, target)


def test_an_address_is_fetched_by_fsspec_if_it_is_there(folder, tmp_path, monkeypatch):
    export.pack(folder, tmp_path / "x.zip")
    fake = types.ModuleType("fsspec")
    fake.__spec__ = types.SimpleNamespace()
    fake.url_to_fs = lambda address: (Storage(tmp_path), address.partition("://")[2])
    monkeypatch.setitem(sys.modules, "fsspec", fake)
    with export.opened("records", "box://x.zip") as unpacked:
        assert cells(unpacked) == cells(folder)
    (tmp_path / "copy").symlink_to(folder)
    with export.opened("records", "box://copy") as fetched:
        assert cells(fetched) == cells(folder)
    with pytest.raises(RecordError, match="box://y cannot be fetched"):
        records_of("box://y")
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match="addresses need the package fsspec"):
        records_of("box://x.zip")


def test_a_record_names_nothing_that_is_imported(folder, tmp_path):
    """The observer of a packed record is a name, whatever it is."""
    target = tmp_path / "x.zip"
    export.pack(folder, target)
    with export.opened("records", str(target)) as unpacked:
        path = unpacked / "a" / "config.json"
        config = json.loads(path.read_text())
        config["observer"]["name"] = "os.system"
        path.write_text(json.dumps(config))
        assert len(cells(unpacked)) == 2
