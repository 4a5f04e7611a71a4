"""Logs of other programs: tables of every form, and what is mended before they are charges."""

import base64
import json
import zlib

import numpy as np
import pytest

from epx.analysis.logs import charges, events, log_files
from epx.types import Refusal

# Written by tensorboardX 2.6.5: three train/loss, one eval/loss, a text and a histogram.
WRITER_X = (
    "c-oU-fPlsI-b$R?j)WKo9lGTx#hX-=n3<>NT9%quVrBHcXur4|RNc)xLPnf*7a{7jgt-K{xJp23^>gxzi$xh2930*+d>"
    "^O)Rjv7UWdLXKHHc~fE-dO59CE&jJwQ?a>lReK2p07W4!=5;Bjlm#1HD}&IQbsH)eCV6aB-%VCFa1C3pjj!z_{8Ps$5E"
    "WO$_JW$56)`aOrUg=H-{9>X)Qel*AX8=H@0ARXXu=unVyWF>x?Dv1X*^<m7vCaItZ*fRuEd=Gd;r2r;U3e(@^Kb045a&"
    "0^x3&cwx-p*4|-6C(e?UJ%0IaFB#C6d?==2Tce=$HAz8V`iqLXw+MKZINGR_o;laPxd?}%6jOd{jPvs!}%Sb?TzhU$gH"
    "pVYTxR5X8wUi-|Z`Xem%PU|EGO$yPI(4%s=*brkvI5E&Xr*K=30^i7%r=d4dgJ8V9q(D>MGG#qU`hGWH0V&SGbG;GJ`H"
    "fo3SDgH-_o3ix2pKoKCM|AT$p+7pWb-9en#"
)
# Written by tensorboard 2.21.0 as TensorFlow 2 writes: loss as a tensor of float32, val_loss of
# float64, and a text.
WRITER_2 = (
    "c-oU-fPlsI-b$Ph<_CKz-lU?$%sf5Uvedj1E2Fmk;Z?FwbqV_SmEr2Ngt!E_SaR}<i=8+)7?oHU7#ti7*+iY?p^5{&T_"
    "oU&1z0haD>$r}7PD6!s(kmujc&-wrMM)xILZ=p;=x*YIGBt$AhJvjMo}xX@Y<4>Uy=&6h24pzB(<Vs_K}xK0C6ZQ@&"
)
TABLE = {"step": [10.0, 20.0, 30.0], "loss": [3.0, 2.5, 2.0], "eval_loss": [np.nan, np.nan, 2.25]}


def event_file(folder, written):
    path = folder / "events.out.tfevents.1.host"
    path.write_bytes(zlib.decompress(base64.b85decode(written)))
    return path


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def test_event_files_of_both_forms_are_read(tmp_path):
    path = event_file(tmp_path, WRITER_X)
    train = [(0, "train/loss", 3.0), (10, "train/loss", 2.5), (20, "train/loss", 2.0)]
    assert [tuple(scalar) for scalar in events.scalars(path)] == [*train, (20, "eval/loss", 2.25)]
    for place in (path, tmp_path):
        same(
            log_files.read(place),
            {"step": [0, 10, 20], "train/loss": [3, 2.5, 2], "eval/loss": [np.nan, np.nan, 2.25]},
        )
    second = event_file(tmp_path, WRITER_2)
    assert [tuple(scalar) for scalar in events.scalars(second)] == [
        (0, "loss", 3.0), (5, "loss", 2.5), (5, "val_loss", 2.25),
    ]  # fmt: skip


def test_training_and_validation_in_folders_of_their_own_are_apart(tmp_path):
    """The same tag in both; a folder that holds all files is no part of a name."""
    for name in ("train", "validation"):
        (tmp_path / "run" / name).mkdir(parents=True)
        event_file(tmp_path / "run" / name, WRITER_2)
    losses = ("loss", [3, 2.5]), ("val_loss", [np.nan, 2.25])
    gap = [np.nan, np.nan]
    expected = {"step": [0, 5, 0, 5]}
    expected |= {f"train/{tag}": [*values, *gap] for tag, values in losses}
    expected |= {f"validation/{tag}": [*gap, *values] for tag, values in losses}
    found = log_files.read(tmp_path)
    same(found, expected)
    assert charges.find_columns(found, {}) == {
        "step": "step", "loss": "train/loss", "eval": "validation/loss"
    }  # fmt: skip
    log = charges.interpret(found, charges.find_columns(found, {}), 1.0)
    assert log.nats_K.tolist() == [3, 5 * 2.75] and log.held_out_nats_per_tok_N.tolist() == [3, 2.5]
    assert not any("repeated" in note for note in log.notes)


def test_an_unfinished_event_file_is_read_as_far_as_it_goes(tmp_path):
    path = event_file(tmp_path, WRITER_X)
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert len(list(events.scalars(path))) >= 3
    path.write_bytes(b"no event file at all, but long enough")
    with pytest.raises(Refusal, match="accepted a TensorBoard event file"):
        log_files.read(path)


FORMS = {
    "commas": "step,loss,eval_loss\n10,3.0,\n20,2.5,\n30,2.0,2.25\n",
    "tabs": "step\tloss\teval_loss\n10\t3.0\t\n20\t2.5\t\n30\t2.0\t2.25\n",
    "semicolons and CRLF": "step;loss;eval_loss\r\n10;3.0;\r\n20;2.5;\r\n30;2.0;2.25\r\n",
    "a mark of the byte order": "\ufeffstep,loss,eval_loss\n10,3.0,\n20,2.5,\n30,2.0,2.25\n",
    "JSON lines": '{"step":10,"loss":3.0}\n\n{"step":20,"loss":2.5}\n'
    '{"step":30,"loss":2.0,"eval_loss":2.25}\n',
    "a list": '[{"step":10,"loss":3.0},{"step":20,"loss":2.5},'
    '{"step":30,"loss":2.0,"eval_loss":2.25}]',
    "columns": '{"step":[10,20,30],"loss":[3.0,2.5,2.0],"eval_loss":[null,null,2.25]}',
    "trainer_state": '{"best_metric": null, "log_history": [{"step":10,"loss":3.0},'
    '{"step":20,"loss":2.5},{"step":30,"loss":2.0,"eval_loss":2.25}], "max_steps": 30}',
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_tables_of_every_form_are_the_same(tmp_path, text):
    path = tmp_path / "log"
    path.write_text(text, encoding="utf-8", newline="")
    same(log_files.read(path), {name: np.array(values) for name, values in TABLE.items()})


def test_columns_are_found_by_name_or_given(tmp_path):
    names = "Step,run-7 - train/loss,run-7 - train/loss__MIN,run-7 - train/loss__MAX,ce"
    path = tmp_path / "wandb.csv"
    path.write_text(f"{names}\n0,3,2.9,3.1,7\n1,2,1.9,2.1,8\n")
    table = log_files.read(path)
    assert charges.find_columns(table, {}) == {"step": "Step", "loss": "run-7 - train/loss"}
    assert charges.find_columns(table, {"loss": "ce"})["loss"] == "ce"
    for given, message in (
        ({"loss": "nll"}, "columns='nll': accepted the columns of the log: Step, run-7"),
        ({"lr": "ce"}, "columns='lr': accepted loss, eval, step, tokens, epoch"),
    ):
        with pytest.raises(Refusal, match=message):
            charges.find_columns(table, given)
    with pytest.raises(Refusal, match=r"a column of the training loss; this one has a, b\. Name"):
        charges.find_columns({"a": np.ones(2), "b": np.ones(2)}, {})


def interpret(table, **options):
    table = {name: np.array(values, float) for name, values in table.items()}
    return charges.interpret(table, charges.find_columns(table, {}), **options)


def test_a_loss_is_that_of_a_step_or_the_mean_since_the_last_entry():
    """10 tokens a step: blocks of 100 tokens."""
    points = interpret(TABLE, tokens_per_step=10)
    np.testing.assert_allclose(points.tokens_K, [100, 100, 100])
    np.testing.assert_allclose(points.nats_K, [300, 275, 225])
    means = interpret(TABLE, tokens_per_step=10, logged="means")
    np.testing.assert_allclose(means.nats_K, [300, 250, 200])
    assert points.held_out_nats_per_tok_N.tolist() == [2.25]
    assert points.passes is None and points.notes == (charges.UNCOUNTED,)
    bits = interpret(TABLE, tokens_per_step=10, logged="means", unit="bits")
    np.testing.assert_allclose(bits.nats_K, means.nats_K * np.log(2))
    assert bits.held_out_nats_per_tok_N == pytest.approx([2.25 * np.log(2)])


def test_steps_that_are_counted_from_0_and_rows_without_steps():
    zero = interpret({"step": [0, 1, 2], "loss": [3, 2, 1]}, tokens_per_step=4, logged="means")
    np.testing.assert_allclose(zero.tokens_K, [4, 4, 4])
    bare = interpret({"loss": [3, 2, 1]}, tokens_per_step=4, logged="means")
    np.testing.assert_allclose(bare.nats_K, [12, 8, 4])
    assert bare.notes == ("the log has no steps: each row is one", charges.UNCOUNTED)


def test_a_column_of_tokens_needs_no_batch_size():
    log = interpret({"tokens": [50, 200], "loss": [3, 2]}, logged="means")
    np.testing.assert_allclose(log.nats_K, [150, 300])
    with pytest.raises(Refusal, match="tokens_per_step=None: accepted the tokens of a batch"):
        interpret({"step": [1, 2], "loss": [3, 2]})


def test_what_was_repeated_after_a_resume_counts_once():
    """Steps 3 and 4 were run again, and 4 a third time."""
    log = interpret(
        {"step": [1, 2, 3, 4, 3, 4, 4, 5], "loss": [9, 8, 70, 60, 7, 65, 6, 5]},
        tokens_per_step=1, logged="means",
    )  # fmt: skip
    np.testing.assert_allclose(log.nats_K, [9, 8, 7, 6, 5])
    repeated = "3 entries were repeated, as after a resume: the last ones count"
    assert log.notes == (repeated, charges.UNCOUNTED)


def test_gaps_and_undefined_losses_are_filled_and_said():
    steps = [*range(1, 11), *range(101, 111)]
    loss = [3.0] * 10 + [1.0] * 10
    log = interpret({"step": steps, "loss": loss}, tokens_per_step=1)
    assert log.nats_K.sum() == pytest.approx(10 * 3 + 91 * 2 + 9 * 1)
    assert log.notes[0] == "1 gaps in the log, 83% of the tokens, were filled by a line"
    late = interpret({"step": [1000, 1001, 1002, 1003], "loss": [2, 2, 2, 2]}, tokens_per_step=1)
    assert late.notes[0].startswith("the log begins after 1e+03 tokens")
    loss = [3.0, np.inf, 2.0, 1.0]
    holed = interpret({"step": [1, 2, 3, 4], "loss": loss}, tokens_per_step=1, logged="means")
    np.testing.assert_allclose(holed.nats_K, [3, 4, 1])
    assert holed.notes[0] == "1 losses are not finite and were left out"
    with pytest.raises(Refusal, match="loss=0: accepted a log with losses that are numbers"):
        interpret({"step": [1, 2], "loss": [np.inf, np.inf]}, tokens_per_step=1)


@pytest.mark.parametrize(
    "options",
    [
        dict(table={"epoch": [0.5, 1.0, 1.5, 2.0]}),
        dict(table={"epoch": [0, 0, 1, 1]}),
        dict(table={}, data_tokens=2.0),
    ],
)
def test_several_passes_need_a_loss_on_unseen_data(options):
    """Then the charges are those of the first pass."""
    table = {"step": [1, 2, 3, 4], "loss": [4, 3, 2, 1]} | options.pop("table")
    with pytest.raises(Refusal, match=r"passes=2\.0: accepted one pass, or a log with a loss on"):
        interpret(table, tokens_per_step=1, **options)
    table["eval_loss"] = [9, 9, 9, 2.5]
    log = interpret(table, tokens_per_step=1, logged="means", **options)
    np.testing.assert_allclose(log.nats_K, [4, 3])
    assert log.passes == 2 and log.held_out_nats_per_tok_N.tolist() == [9, 9, 9, 2.5]
    assert charges.UNCOUNTED not in log.notes
    assert "2 passes over the data: the charges are those of the first (EDL)" in log.notes
    one = {"step": [1, 2], "loss": [2, 1], "epoch": [0.5, 1.0]}
    assert interpret(one, tokens_per_step=1)[3:] == (1, ())


def test_an_old_evaluation_is_said():
    table = {"step": [1, 2, 3, 4], "loss": [4, 3, 2, 1], "val_loss": [9, 2.5, np.nan, np.nan]}
    log = interpret(table, tokens_per_step=1)
    assert log.held_out_nats_per_tok_N.tolist() == [9, 2.5]
    assert log.notes[0] == "the last loss on unseen data is from 50% of the training"


BAD = {
    "empty": (b"", "a log that is not empty"),
    "spaces": (b" \n\n ", "a log that is not empty"),
    "UTF-16": ("step,loss\n1,2\n".encode("utf-16"), "text in UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\xff", "text in UTF-8"),
    "prose": (b"dear diary\nall is well\n", "a log with a column of numbers"),
    "half a list": (b'[{"step": 1, "loss": 2}', "a log in CSV, JSON or JSON lines"),
    "two of a name": (
        b"step,loss,loss\n1,2,3\n",
        "columns of different names; .* two of loss",
    ),
    "no rows": (b"step,loss\n", "a log with a column of numbers"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_what_is_no_log_is_refused_in_a_line(tmp_path, content, message):
    path = tmp_path / "log.txt"
    path.write_bytes(content)
    with pytest.raises(Refusal, match=f"log='.*log.txt': accepted .*{message}") as error:
        log_files.read(path)
    assert "\n" not in str(error.value)


def test_a_folder_without_events_is_refused(tmp_path):
    with pytest.raises(Refusal, match="accepted a folder with TensorBoard event files"):
        log_files.read(tmp_path)


def test_numbers_in_quotes_and_text_beside_them(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text('step,loss,phase\n"1","2.5",warm\n2,nan,"a, b"\n')
    found = log_files.read(path)
    same(found, {"step": np.array([1.0, 2.0]), "loss": np.array([2.5, np.nan])})


def test_json_of_numbers_only_is_no_row(tmp_path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"loss": 2.0, "step": 3}))
    same(log_files.read(path), {"loss": np.array([2.0]), "step": np.array([3.0])})
