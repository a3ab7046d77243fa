from benchmarks.figures import Row
from benchmarks.tables import chores, contenders, ours, table


def test_a_table_is_padded_markdown_with_numbers_to_the_right() -> None:
    assert table(["what", "µs"], [["ours", 5], ["theirs", 12_000]]).splitlines() == [
        "| what   |     µs |",
        "|--------|-------:|",
        "| ours   |      5 |",
        "| theirs | 12,000 |",
    ]


def test_an_unknown_figure_is_a_dash() -> None:
    assert table(["a", "b"], [["x", None]]).splitlines()[-1] == "| x | - |"


def test_numbers_have_three_significant_digits_or_are_whole() -> None:
    cells = [
        line.split("|")[1].strip()
        for line in table(["n"], [[0.01234], [45.67], [1234.5], [7]]).splitlines()[2:]
    ]
    assert cells == ["0.0123", "45.7", "1,234", "7"]


def test_contenders_are_compared_with_ours() -> None:
    mine = Row("ours", 10, 1000, 0.5, 0.1, 0.1, 0.0, {"worker": 80_000_000}, {"late_p50": 0.4})
    theirs = Row(
        "theirs", 10, 100, 1.0, 0.1, 0.0, 0.0, {"worker": 30_000_000, "producer": 20_000_000}
    )
    lines = contenders([mine, theirs], mine).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")][1:4] == ["ours", "100", "500"]
    assert [cell.strip() for cell in lines[3].split("|")][-2] == "20"
    assert [cell.strip() for cell in lines[3].split("|")][5:7] == ["50", "2"]


def test_our_rows_have_columns_of_their_own() -> None:
    details = {"late_p50": 0.4, "missed_turns": 0}
    page = ours([Row("ours, 10 homes", 10, 100, 0.5, 0.1, 0.1, 0.0, {}, details)])
    assert "lateness p50" in page
    cells = [cell.strip() for cell in page.splitlines()[2].split("|")]
    assert cells[1:6] == ["ours, 10 homes", "0.4", "-", "-", "0"]


def test_a_chore_is_a_row() -> None:
    chore = {"name": "import", "seconds": 2.5, "cpu": 1.25, "per_second": 400.0, "note": "small"}
    cells = [cell.strip() for cell in chores([chore]).splitlines()[2].split("|")]
    assert cells[1:-1] == ["import", "2.5", "1.25", "400", "small"]
