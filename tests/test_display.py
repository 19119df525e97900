"""Progress is shown as lines in a pipe and as bars on a terminal."""

import io

import nbclient
import nbformat
import pytest
from rich.console import Console

from kft.display import Display, format_seconds
from kft.training.callbacks import HistoryFile, ProgressCallback, format_figures


@pytest.fixture
def lines(display):
    return lambda: display.console.file.getvalue().splitlines()


def test_a_stage_is_printed_verbatim_on_one_line(display, lines):
    display.stage("found [bold]3[/bold] files in /a/[b]")
    assert lines() == ["found [bold]3[/bold] files in /a/[b]"]


def test_a_short_stage_is_one_line_at_its_end(display, lines):
    with display.track("Checking", 3) as advance:
        for done in range(1, 4):
            advance(done)
        assert lines() == []
    (line,) = lines()
    assert line == "Checking: done in 0.0 s"


def test_the_last_note_is_kept(display, lines):
    with display.track("Phase 1") as advance:
        advance(1, 2, "loss 0.5")
        advance(2, note="loss 0.4")
    assert lines() == ["Phase 1: done in 0.0 s  loss 0.4"]


def test_a_long_stage_reports_its_progress(display, lines, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("kft.display.time.monotonic", lambda: now[0])
    with display.track("Phase 1", 10) as advance:
        for done in range(1, 11):
            now[0] += 4
            advance(done, note=f"loss {done}")
    assert lines() == [
        "Phase 1: 3/10, 28 s left  loss 3",
        "Phase 1: 6/10, 16 s left  loss 6",
        "Phase 1: 9/10, 4.0 s left  loss 9",
        "Phase 1: done in 40 s  loss 10",
    ]


def test_without_a_total_no_remaining_time_is_shown(display, lines, monkeypatch):
    monkeypatch.setattr("kft.display.PLAIN_INTERVAL_SECONDS", 0.0)
    with display.track("Checking") as advance:
        advance(3)
    assert lines()[0] == "Checking: 3"


def test_a_failed_stage_is_not_reported_as_done(display, lines):
    def fail():
        with display.track("Checking", 3):
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    assert lines() == []


def test_a_terminal_shows_a_bar_with_label_share_and_note():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Display(console).track("Phase 1", 4) as advance:
        advance(2, note="loss 0.5")
        advance(3, total=6)
    text = console.file.getvalue()
    assert "Phase 1" in text
    assert "50%" in text
    assert "loss 0.5" in text


def test_a_notebook_gets_one_line_that_lives_and_holds_all_that_was_said():
    code = (
        "from kft.display import make_display\n"
        "display = make_display()\n"
        "display.stage('found <b>3</b> files')\n"
        "with display.track('Checking', 9) as advance:\n"
        "    for done in range(10):\n"
        "        advance(done)\n"
        "display.stage('ready')\n"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert output.data["text/plain"] == "ready"
    said = "found &lt;b&gt;3&lt;/b&gt; files\nChecking: done in 0.0 s\nready"
    assert said in output.data["text/html"]


def test_by_default_progress_goes_to_standard_error(capsys):
    Display().stage("found")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "found\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (12, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (7800, "2 h 10 min"),
        (360000, "100 h 0 min"),
    ],
)
def test_durations_are_formatted_for_people(seconds, text):
    assert format_seconds(seconds) == text


def test_figures_name_validation_in_full():
    assert format_figures({"loss": 0.4119, "val_accuracy": 1}) == (
        "loss 0.412  validation accuracy 1.000"
    )


def test_validation_stays_beside_the_bar_until_the_next_one():
    told = []
    callback = ProgressCallback(lambda *figures: told.append(figures), 3)
    callback.on_train_batch_end(0, {"loss": 2.0})
    callback.on_epoch_end(0, {"loss": 2.0, "val_loss": 3.0})
    callback.on_train_batch_end(0, {"loss": 1.0})
    assert told == [
        (1, 3, "loss 2.000"),
        (1, 3, "loss 2.000  validation loss 3.000"),
        (2, 3, "loss 1.000  validation loss 3.000"),
    ]


def test_history_is_written_whole_after_each_epoch(tmp_path):
    history = HistoryFile(tmp_path / "phase" / "history.csv")
    history.on_epoch_end(0, {"loss": 0.5, "val_loss": 1.0})
    assert (tmp_path / "phase" / "history.csv").read_text() == "epoch,loss,val_loss\n1,0.5,1.0\n"
    history.on_epoch_end(1, {"loss": 0.25, "val_loss": 2.0})
    assert (tmp_path / "phase" / "history.csv").read_text() == (
        "epoch,loss,val_loss\n1,0.5,1.0\n2,0.25,2.0\n"
    )
    assert history.rows[1] == {"epoch": 2, "loss": 0.25, "val_loss": 2.0}
