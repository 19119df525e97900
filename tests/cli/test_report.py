"""`kft report` writes a page, or says what it lacks."""

from click.testing import CliRunner

from kft.cli.main import main


def test_a_run_that_is_not_there_is_said(tmp_path):
    result = CliRunner().invoke(main, ["report", str(tmp_path / "gone")])
    assert result.exit_code == 2
    assert "no such run directory" in result.output


def test_the_command_says_where_the_report_is(tmp_path, monkeypatch):
    def write(run, output, *, split):
        return f"{run} {output} {split}"

    monkeypatch.setattr("kft.report.write_report", write)
    result = CliRunner().invoke(
        main, ["report", "r", "--split", "validation", "--output", "p.html"]
    )
    assert result.output == "Report: r p.html validation\n"
