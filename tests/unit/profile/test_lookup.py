"""gateway.profile.lookup: tables that a site writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.profile.lookup import PATIENT_COLUMNS, VALUE_COLUMNS, load_table

#: Nothing of it may reach a message.
SECRET = "HC-4471823"


def table(directory: Path, text: str | bytes) -> Path:
    path = directory / "subjects.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "value", "issuer", "found"),
    [
        ("patient_id,pseudonym\n123,S1\n", "123", "", "S1"),
        ("patient_id,pseudonym\n 123 , S1 \n", " 123 ", "", "S1"),  # blanks around do not count
        ("patient_id,pseudonym\n123,S1\n", "124", "", None),
        ("patient_id,pseudonym\n0123,S1\n", "123", "", None),  # zeros do
        ("\ufeffPseudonym;Patient_ID".replace(";", ",") + "\nS1,123\n\n", "123", "", "S1"),  # a spreadsheet's file
        ('patient_id,pseudonym\n"12,3","S 1"\n', "12,3", "", "S 1"),
        # a row that names the issuer counts before one that names none
        ("patient_id,issuer,pseudonym\n1,A,S1\n1,,S2\n1,B,S3\n", "1", "A", "S1"),
        ("patient_id,issuer,pseudonym\n1,A,S1\n1,,S2\n1,B,S3\n", "1", "C", "S2"),
        ("patient_id,issuer,pseudonym\n1,A,S1\n1,,S2\n1,B,S3\n", "1", "", "S2"),
        ("patient_id,issuer,pseudonym\n1,A,S1\n", "1", "", None),
        ("patient_id,pseudonym\n1,S1\n", "1", "A", "S1"),
        ("patient_id,pseudonym\n1,S1\n1,S1\n", "1", "", "S1"),  # twice the same
    ],
)
def test_find(tmp_path: Path, text: str, value: str, issuer: str, found: str | None) -> None:
    assert load_table(table(tmp_path, text), PATIENT_COLUMNS).find(value, issuer) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: the columns are patient_id and pseudonym and perhaps issuer"),
        (f"{SECRET},S1\n", "line 1: the columns are"),
        ("patient_id,pseudonym,name\n", "line 1: the columns are"),
        ("patient_id,pseudonym,pseudonym\n", "line 1: the columns are"),
        (f"patient_id,pseudonym\n{SECRET}\n", "row 2: 1 cells instead of 2"),
        (f"patient_id,pseudonym\n{SECRET},\n", "row 2: patient_id and pseudonym have a value"),
        (f"patient_id,pseudonym\n1,S1\n,{SECRET}\n", "row 3: patient_id and pseudonym have a value"),
        (f"patient_id,pseudonym\n{SECRET},S1\n{SECRET},S2\n", "row 3: patient_id stands in the table before"),
        (f"patient_id,pseudonym\n{SECRET},A\\B\n", "row 2: a pseudonym holds"),
        (f"patient_id,pseudonym\n{SECRET},A^B\n", "row 2: the pseudonym of a patient"),
        (f"patient_id,pseudonym\n{SECRET},{'S' * 65}\n", "row 2: the pseudonym of a patient"),
        (f'patient_id,pseudonym\n"{SECRET},S1\n', "the table is no CSV here"),
        (f"patient_id,pseudonym\n{SECRET},\xe9\n".encode("latin-1"), "line 2: the table is not UTF-8"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        load_table(table(tmp_path, text), PATIENT_COLUMNS)
    assert str(caught.value).startswith(("subjects.csv", "the table subjects.csv"))
    assert SECRET not in str(caught.value)


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("the table none.csv cannot be read: No such file")):
        load_table(tmp_path / "none.csv", VALUE_COLUMNS)


def test_values_have_no_issuer(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the columns are value and pseudonym$"):
        load_table(table(tmp_path, "value,pseudonym,issuer\n"), VALUE_COLUMNS)


def test_rows_do_not_show(tmp_path: Path) -> None:
    found = load_table(table(tmp_path, f"patient_id,pseudonym\n{SECRET},S1\n"), PATIENT_COLUMNS)
    assert SECRET not in repr(found)
    assert found.name == "subjects.csv"


def test_the_digest_is_of_the_rows(tmp_path: Path) -> None:
    digests = [
        load_table(table(tmp_path, text), VALUE_COLUMNS).digest
        for text in (
            "value,pseudonym\na,b\nc,d\n",
            "pseudonym,value\nd,c\n\nb , a\n",  # the same
            "value,pseudonym\na,b\nc,e\n",
            "value,pseudonym\na,b\n",
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
