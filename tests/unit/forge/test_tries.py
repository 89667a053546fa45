from __future__ import annotations

import json

from gansfp.forge.tries import earlier_tries, record_try


def card(task="membership", images="a", steps=1):
    generators = {"generator": {"leak": {"auc_nearest": 0.5}, "loss": 1.0}}
    return {"task": task, "generators": generators, "request": {"images": images, "steps": steps}}


def test_tries_of_the_same_images_and_kind_are_listed(tmp_path):
    record_try(tmp_path / "one", card())
    record_try(tmp_path / "two", card(steps=2))
    record_try(tmp_path / "other", card(images="b"))
    record_try(tmp_path / "bank", card(task="bank"))
    found = earlier_tries(tmp_path / "three", "membership", "a")
    assert [line["output"] for line in found] == ["one", "two"]
    assert found[0]["leak"] == {"generator": {"auc_nearest": 0.5}}
    assert found[1]["request"]["steps"] == 2


def test_a_try_is_recorded_once_and_another_one_again(tmp_path):
    for steps in (1, 1, 2):
        record_try(tmp_path / "one", card(steps=steps))
    lines = (tmp_path / "tries.jsonl").read_text().splitlines()
    assert [json.loads(line)["request"]["steps"] for line in lines] == [1, 2]


def test_a_line_cut_short_is_passed_over(tmp_path):
    record_try(tmp_path / "one", card())
    with (tmp_path / "tries.jsonl").open("a") as stream:
        stream.write('{"output": "tw\n')
    record_try(tmp_path / "two", card(steps=2))
    assert len(earlier_tries(tmp_path / "x", "membership", "a")) == 2


def test_nothing_tried_nothing_listed(tmp_path):
    assert earlier_tries(tmp_path / "one", "membership", "a") == []
