"""Ten thousand configurations: each a study whose slices pass the check again, or one line."""

from fuzzing import STRANGE, cases, outcome, tally

from peft_atlas.config import StudyConfig, load_config

DEFAULTS = StudyConfig().model_dump(mode="json")
VALUES = [
    *(None, True, 0, 1, 2, -1, 10**6, 10**30, 0.5, 1.0, 1e-4, float("nan"), float("inf"), -0.0),
    *("1e-4", "3", "0.9", "1e3", "1e999", "-1", "nan", "auto", "cuda", "encoder", "LoRA (query, value)", "x" * 500),
    *([], {}, [1], [1, 1.0], ["1e-4", 0.001], ["2", "1"], [[1]], {"a": 1}, [None], *STRANGE),
]


def places(tree, path=()):
    """Yield the path of every value of nested mappings and lists."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


PLACES = list(places(DEFAULTS))


def changed(draw):
    """Return the default configuration with one to three values replaced, renamed or taken away."""
    values = StudyConfig().model_dump(mode="json")
    for _ in range(draw.choice([1, 1, 2])):
        path, section = draw.choice(PLACES), values
        try:
            for key in path[:-1]:
                section = section[key]
            old = section[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
        # A first change may have put a text where a list was.
        if not isinstance(section, dict | list):
            continue
        kind = draw.randrange(8)
        if kind in {0, 6, 7} and isinstance(old, int | float):
            section[path[-1]] = draw.choice([old * 2, old / 2, -old, str(old), f"{old:e}", [old]])
        elif kind == 1 and isinstance(section, dict):
            del section[path[-1]]
        elif kind == 2 and isinstance(section, dict):
            section[draw.choice([*STRANGE, "seed", "sedes"])] = old
        elif kind in {3, 4, 5} and isinstance(old, list):
            draw.shuffle(old)
            section[path[-1]] = draw.choice([old, old + old, old[:1], old[1:]])
        else:
            section[path[-1]] = draw.choice(VALUES)
    return values


def check(values):
    """Check values, and that what a job is given of them passes the check again and stays the same."""
    config = load_config(values)
    assert load_config(config.model_dump(mode="json")) == config


def test_configurations():
    counts = tally("configurations", (outcome(check, changed(draw)) for draw in cases("configuration", 10_000)))
    assert set(counts) == {"valid", "refused"}
