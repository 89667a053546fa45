"""Truth and run files: what is read, what is refused, and in which words."""

from __future__ import annotations

import zipfile

import pytest

from gansfp.errors import UserError
from gansfp.evaluation.idfile import image_key, natural_order
from gansfp.evaluation.submission import read_run_file, write_run_file
from gansfp.evaluation.truth import read_truth

NAMES = ["test/real_unknown/a_1.png", "test/real_unknown/a_2.png", "test/real_unknown/a_10.png"]


def _write(tmp_path, text, name="file.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a_1.png,1\na_2.png,0\na_10.png,1\n",
        "sample_id,label\na_1,used\na_2,not_used\na_10,used",
        "folder/a_2.png , not used\r\nfolder/a_10.png, used \r\n a_1.PNG,USED\r\n",
        "\ufefffile,class\na_2,0\na_10,1\na_1,1\n",
    ],
)
def test_truth_is_read_in_every_form(tmp_path, text):
    truth = read_truth(_write(tmp_path, text), "membership")
    assert truth.of(NAMES) == ["1", "0", "1"]


def test_attribution_truth_maps_generated_folders_to_classes(tmp_path):
    truth = read_truth(_write(tmp_path, "x_1.png,gen_t10\nx_2,t2\n"), "attribution")
    assert truth.labels == ("t10", "t2")
    assert truth.classes == ("t2", "t10")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("image,label\n", "empty"),
        ("a_1,1\na_1.png,0\n", "line 2: a_1.png is already on line 1"),
        ("a_1,1\na_2,2\n", "line 2: unknown label '2'"),
        ("a_1,1\n\na_2,1\n", "line 2: empty line"),
        ("a_1,1\na_2\n", "line 2: 1 column;"),
        ("a_1,1,0\n", "line 1: 3 columns"),
        ("a_1,1\n,1\n", "line 2: an empty column"),
    ],
)
def test_broken_truth_names_file_and_line(tmp_path, text, message):
    path = _write(tmp_path, text)
    with pytest.raises(UserError, match=r"file\.csv") as caught:
        read_truth(path, "membership")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truth_must_name_exactly_the_test_images(tmp_path):
    truth = read_truth(_write(tmp_path, "a_1,1\na_2,0\n"), "membership")
    with pytest.raises(UserError, match="1 images have no label, the first is a_10"):
        truth.of(NAMES)
    with pytest.raises(UserError, match="1 labels have no image, the first is a_2"):
        truth.of(NAMES[:1])
    with pytest.raises(UserError, match="differ only"):
        truth.of(["x/a_1.png", "y/a_1.png"])


def test_missing_file_folder_and_binary_are_user_errors(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UserError, match="truth"):
            read_truth(path, "membership")
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="not a readable text"):
        read_truth(binary, "membership")


@pytest.mark.parametrize(
    ("header", "extension", "expected"),
    [
        (None, True, "a_1.png,1\na_2.png,0\na_10.png,1\n"),
        (None, False, "a_1,1\na_2,0\na_10,1\n"),
        (
            ("original_image", "label"),
            True,
            "original_image,label\na_1.png,1\na_2.png,0\na_10.png,1\n",
        ),
    ],
)
def test_run_file_is_written_in_natural_order(tmp_path, header, extension, expected):
    order = [2, 0, 1]
    path = write_run_file(
        tmp_path / "new" / "run.csv",
        [NAMES[k] for k in order],
        [[1, 0, 1][k] for k in order],
        header,
        extension,
    )
    assert path.read_text() == expected
    assert [item.name for item in path.parent.iterdir()] == ["run.csv"]
    assert read_run_file(path, "membership", NAMES) == ["1", "0", "1"]


def test_run_file_in_an_archive(tmp_path):
    path = write_run_file(tmp_path / "run.csv", NAMES, ["t1", "t2", "t1"], zipped=True)
    assert path.name == "run.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.read("run.csv") == b"a_1.png,t1\na_2.png,t2\na_10.png,t1\n"


def test_names_with_commas_and_quotes_survive(tmp_path):
    names = ["a,b.png", 'c"d.png', "Zoë.png"]
    path = write_run_file(tmp_path / "run.csv", names, [1, 0, 1])
    assert read_run_file(path, "membership", names) == ["1", "0", "1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a_1,1\na_2,0\na_10,1\nb,1\n", "line 4: b is not a test image"),
        ("a_1,1\na_2,0\n", "1 of 3 test images have no line, the first is"),
        ("a_1,1\na_1,1\na_2,0\na_10,1\n", "line 2: a_1 is already on line 1"),
        ("a_1,1\na_2,0.5\na_10,1\n", "line 2: bad label '0.5' for a_2; expected one of 0, 1"),
        ("a_1,1\na_2,used\na_10,1\n", "line 2: bad label 'used'"),
        ("a_1,1\na_2,0,0\na_10,1\n", "line 2: 3 columns"),
        ("a_1,1\na_2,0\n\na_10,1\n", "line 3: empty line"),
        ("a_1,1\na_2,0\na_10,1\n\n", "line 4: empty line"),
    ],
)
def test_rules_of_the_2023_validator(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        read_run_file(_write(tmp_path, text, "run.csv"), "membership", NAMES)
    assert "run.csv" in str(caught.value)
    assert message in str(caught.value)


def test_unknown_attribution_class_is_refused(tmp_path):
    path = _write(tmp_path, "a_1 , gen_t1\na_2,t2\na_10,t7\n")
    with pytest.raises(UserError, match="line 3: bad label 't7' for a_10; expected one of t1, t2"):
        read_run_file(path, "attribution", NAMES, ["t1", "t2"])


def test_keys_and_natural_order():
    assert image_key("a\\b\\ct.12.PNG") == "ct.12"
    assert image_key("x/ct.12") == "ct.12"
    assert natural_order(["t10", "t2", "t1", "a"]) == ["a", "t1", "t2", "t10"]
