"""The decoder study's tasks: problems whose equations are recomputed, splits that share nothing, and bad files."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from peft_atlas.errors import AtlasError
from peft_atlas.studies.decoder.data import arithmetic as problems
from peft_atlas.studies.decoder.data.arithmetic import KINDS, NEW_WORDING, TWO_STEP, WORDINGS, arithmetic, value_of
from peft_atlas.studies.decoder.data.commonsense import CHOICES, commonsense, noun_of, with_article
from peft_atlas.studies.decoder.data.items import Item
from peft_atlas.studies.decoder.data.own_file import read_own
from peft_atlas.studies.decoder.data.prepare import Sizes, prepared, shared_groups, split_items

SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """Return a file of the form of TextWorld Commonsense: 300 things of 60 nouns, in five colours."""
    places = ["shelf", "wardrobe", "fridge", "desk", "sink", "bed", "suspended shelf"]
    colours = ("red", "old", "wet", "new", "plain")
    known = {
        f"{colour} noun{number}s": {
            "locations": [places[number % 7], *([places[(number + 1) % 7]] if number % 3 == 0 else [])],
            "entity": f"noun{number}s",
        }
        for number in range(60)
        for colour in colours
    }
    path = tmp_path_factory.mktemp("things") / "things.json"
    path.write_text(json.dumps({"train": dict(list(known.items())[:100]), "test": dict(list(known.items())[100:])}))
    return path


@pytest.fixture(scope="module")
def bytes_tokenizer(tmp_path_factory):
    """Return the folder of a tokenizer that makes a token of each byte."""
    words = Tokenizer(BPE({letter: n for n, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    words.pre_tokenizer, words.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("tokenizer")
    words.save(str(folder / "tokenizer.json"))
    return folder


# ------------------------------------------------------------------------------------------------ arithmetic


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split", SPLITS)
def test_every_equation_is_right_and_of_the_numbers_of_its_problem(split, seed):
    for item in arithmetic(split, 200, seed):
        left, _, right = item.answer.partition(" = ")
        assert re.fullmatch(r"\d+( [+*-] \d+){1,2}", left)
        # Python's own arithmetic, which knows the order of operations.
        assert eval(left) == int(right) >= 0
        assert sorted(re.findall(r"\d+", item.prompt)) == sorted(re.findall(r"\d+", left))
        assert all(2 <= int(number) <= 60 for number in re.findall(r"\d+", left))
        assert item.prompt.endswith("\nAnswer:")


@pytest.mark.parametrize("expression", ["2 + 3 * 4", "10 - 2 - 3", "2 * 3 * 4 - 5", "7", "9 - 2 * 3 + 1"])
def test_values_are_those_of_arithmetic(expression):
    assert value_of(expression) == eval(expression)


@pytest.mark.parametrize("seed", range(4))
def test_no_problem_is_in_two_splits_whatever_the_seeds_of_the_splits(seed):
    splits = {name: arithmetic(name, 300, seed + place) for place, name in enumerate(SPLITS)}
    numbers = {
        # What is added or multiplied is the same problem either way round.
        name: {
            (re.sub(r"\d+", "", item.answer.partition(" =")[0]), tuple(sorted(re.findall(r"\d+", item.prompt))))
            for item in items
            if re.search(r"^\d+ [+*] \d+ =", item.answer)
        }
        for name, items in splits.items()
    }
    assert not numbers["train"] & numbers["test"]
    assert not numbers["train"] & numbers["validation"]
    assert not numbers["validation"] & numbers["test"]
    assert shared_groups(splits) == 0


def test_the_test_split_alone_has_new_wordings_and_every_stratum_has_its_share():
    test, train = arithmetic("test", 100), arithmetic("train", 100)
    assert Counter(item.stratum for item in test) == dict.fromkeys([*KINDS, NEW_WORDING], 20)
    assert Counter(item.stratum for item in train) == dict.fromkeys(KINDS, 25)
    new = [re.escape(each.text).replace(r"\{", "{").replace(r"\}", "}") for each in WORDINGS if each.new]
    forms = [re.compile(re.sub(r"{\w+}", ".+", text)) for text in new]
    fits = lambda item: any(form.match(item.prompt) for form in forms)  # noqa: E731
    assert all(fits(item) == (item.stratum == NEW_WORDING) for item in test)
    assert not any(fits(item) for item in train)


def test_a_kind_has_several_wordings_and_two_steps_need_two_operations():
    assert min(Counter(each.kind for each in WORDINGS if not each.new).values()) >= 4
    two = [item for item in arithmetic("train", 40) if item.stratum == TWO_STEP]
    assert all(len(re.findall(r"[+*-]", item.answer.partition("=")[0])) == 2 for item in two)


def test_more_problems_than_there_are_is_one_line(monkeypatch):
    monkeypatch.setattr(problems, "_NAMES", ("Anna",))
    monkeypatch.setattr(problems, "_THINGS", ("cups",))
    with pytest.raises(AtlasError, match=r"task arithmetic: \d+ problems of [a-z-]+ for validation: allowed"):
        arithmetic("validation", 4_000)


# ------------------------------------------------------------------------------------------------ commonsense


def test_a_thing_has_one_right_place_among_four_and_none_of_its_others(things):
    known = {thing: about for fold in json.loads(things.read_text()).values() for thing, about in fold.items()}
    for item in commonsense(things):
        thing = re.fullmatch(r"The right place for (?:an? )?(.+) is the", item.prompt)[1]
        right = known[thing]["locations"]
        assert len(set(item.choices)) == CHOICES
        assert [choice for choice in item.choices if choice in right] == [item.answer]


def test_no_noun_is_in_two_splits(things):
    splits = split_items("commonsense", None, things, Sizes(50, 10, 50))
    nouns = {name: {re.search(r"noun\d+", item.prompt)[0] for item in items} for name, items in splits.items()}
    assert shared_groups(splits) == 0
    assert all(len(each) > 1 for each in nouns.values())
    assert not nouns["train"] & nouns["test"]
    assert not nouns["train"] & nouns["validation"]
    assert not nouns["validation"] & nouns["test"]


def test_a_shared_noun_is_counted():
    one, other = (Item(f"a {colour} hat", " shelf", group="hat") for colour in ("red", "blue"))
    assert shared_groups({"train": [one], "test": [other]}) == 1
    assert shared_groups({"train": [one], "test": [one]}) == 2


@pytest.mark.parametrize(
    ("entity", "noun", "worded"),
    [("polo shirt", "shirt", "a polo shirt"), ("socks", "sock", "socks"), ("umbrella", "umbrella", "an umbrella"),
     ("dress", "dre", "a dress")],
)  # fmt: skip
def test_nouns_and_articles(entity, noun, worded):
    assert noun_of(entity) == noun
    assert with_article(entity) == worded


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"train": {"cup": {"place": "shelf"}}}')
    with pytest.raises(AtlasError, match="holds no things with locations"):
        commonsense(path)


# ------------------------------------------------------------------------------------------------ a user's own


def written(folder: Path, rows, name="own.jsonl"):
    path = folder / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


GOOD = {"prompt": "2 + 2 =", "answer": "4", "choices": ["3", "4"]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{**GOOD, "prompt": " \t"}], "row 1: prompt = .*: allowed: a text that is not empty"),
        ([GOOD, {**GOOD, "answer": ""}], "row 2: answer = '': allowed"),
        ([{**GOOD, "choices": ["4"]}], "row 1: 1 choice, '4'; allowed: at least 2"),
        ([{**GOOD, "choices": ["4", " 4 "]}], "row 1: the choice '4' is given twice"),
        ([{**GOOD, "choices": ["1", "2"]}], "row 1: answer '4' is not among its choices; allowed: 1, 2"),
        ([{**GOOD, "choices": "4"}], "row 1: choices = '4': allowed: a list"),
        ([{**GOOD, "id": 7}, {**GOOD, "id": 7}], "row 2: id '7' is that of row 1; allowed: each once"),
        ([GOOD, {**GOOD, "answer": "3"}], "row 2: prompt .* is that of row 1; allowed: each once"),
        ([GOOD, {"prompt": "x", "answer": "y"}], "row 2: choices in some rows only"),
        (["{broken"], "line 1 is not JSON"),
        (['{"prompt": "x"}'], "line 1 has no prompt or no answer"),
        ([], "holds no rows"),
    ],
)
def test_a_bad_row_is_one_line(rows, message, tmp_path):
    with pytest.raises(AtlasError, match=message) as caught:
        read_own(written(tmp_path, rows))
    assert "\n" not in str(caught.value)


def test_jsonl_and_csv_give_the_same_items(tmp_path):
    rows = [{"prompt": 'Say "a", b', "answer": "x", "choices": ["x", "y z"]}, GOOD]
    lines = ["prompt,answer,choices", '"Say ""a"", b",x,x|y z', "2 + 2 =,4,3|4"]
    assert read_own(written(tmp_path, rows)) == read_own(written(tmp_path, lines, "own.csv"))


def test_open_answers_need_no_choices(tmp_path):
    (item,) = read_own(written(tmp_path, [{"prompt": "Hello", "answer": "you"}]))
    assert (item.closed().answer, item.closed().choices) == (" you\n", ())


def test_a_text_may_hold_a_line_separator_and_the_file_a_byte_order_mark(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"prompt": "a\u2028b", "answer": "c"}, ensure_ascii=False), encoding="utf-8-sig")
    assert read_own(path) == [Item("a\u2028b", "c", ())]


def test_too_few_rows_are_refused_and_no_group_is_shared(tmp_path):
    rows = [{"prompt": f"Number {n}", "answer": str(n)} for n in range(80)]
    path = written(tmp_path, rows)
    assert shared_groups(split_items("mine", path, None, Sizes(5, 2, 5))) == 0
    with pytest.raises(AtlasError, match=r"task mine: test_examples = 50: allowed: at most \d+ of 80"):
        split_items("mine", path, None, Sizes(5, 2, 50))


# ------------------------------------------------------------------------------------------------ tokens


def test_tokens_are_those_of_prompt_and_answer(bytes_tokenizer):
    item = Item("2 + 2 =", "4", ("3", "4")).closed()
    (row, plain) = prepared("mine", {"test": [item]}, ["Some text"], bytes_tokenizer, 100)
    words = Tokenizer.from_file(str(bytes_tokenizer / "tokenizer.json"))
    assert words.decode(row["prompt_tokens"] + row["answer_tokens"]) == "2 + 2 = 4\n"
    assert [words.decode(ids) for ids in row["choice_tokens"]] == [" 3\n", " 4\n"]
    assert (plain["split"], words.decode(plain["prompt_tokens"])) == ("plain", "Some text")


def test_a_choice_that_begins_another_is_told_from_it_by_the_end_of_its_line(bytes_tokenizer):
    item = Item("How many?", "1", ("1", "10")).closed()
    (row,) = prepared("mine", {"test": [item]}, [], bytes_tokenizer, 100)
    short, long = row["choice_tokens"]
    assert long[: len(short)] != short


def test_choices_of_which_one_begins_another_are_refused(bytes_tokenizer):
    item = Item("How many?", " 1", (" 1", " 10"))
    with pytest.raises(AtlasError, match="the tokens of '1' begin those of '10'"):
        prepared("mine", {"test": [item]}, [], bytes_tokenizer, 100)


def test_an_answer_beyond_the_context_is_one_line(bytes_tokenizer):
    item = Item("Count", "1 2 3 4 5").closed()
    with pytest.raises(AtlasError, match=r"task mine: prompt 'Count': 16 tokens .*; allowed: at most 12"):
        prepared("mine", {"test": [item]}, [], bytes_tokenizer, 12)
