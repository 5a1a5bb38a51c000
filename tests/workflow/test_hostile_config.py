"""A configuration made to break out stops `snakemake` before any job, in one message, and runs nothing."""

import pytest

pytestmark = pytest.mark.slow

# Written out, the last list would hold 10^8 words.
ENDLESS = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(8))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('device: !!python/object/apply:os.system ["touch pwned"]\n', "not valid JSON or YAML"),
        ('device: "$(touch pwned)"\n"../../x": "a; touch pwned"\n', "config: device = '$(touch pwned)'"),
        (f"{ENDLESS}seeds: *a8\n", "config: seeds.0 = "),
    ],
    ids=["object", "shell", "endless"],
)
def test_it_stops_before_any_job(elsewhere, root, text, message):
    (elsewhere.folder / "study.yaml").write_text(text, encoding="utf-8")
    done = elsewhere.snakemake("-s", str(root / "Snakefile"), base="study.yaml", timeout=120)
    assert done.returncode != 0
    assert done.stdout.count(message) == 1
    assert "Traceback" not in done.stdout
    assert "Job stats" not in done.stdout
    made = {path.name for path in elsewhere.folder.iterdir()}
    assert made <= {"study.yaml", ".snakemake"}
