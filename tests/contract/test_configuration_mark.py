"""Parts that were made with another configuration: named before anything is combined."""

import pytest

from peft_atlas.config import StudyConfig
from peft_atlas.errors import AtlasError
from peft_atlas.step import Step
from peft_atlas.studies.study import all_studies
from peft_atlas.tables.configuration_mark import configuration_digest, require_configurations
from peft_atlas.tables.schemas import COSTS

# The studies that train; the others read what somebody else measured.
MEASURED = [study.name for study in all_studies() if study.name not in ("added", "literature", "record")]
ROW = {**COSTS.blank(), "rule": "a", "job": "1", "wall_seconds": 1.0}


def written(path, config):
    params = {} if config is None else {"config": config}
    Step(outputs={"costs": path}, params=params).write("costs", [ROW])
    return path


def test_a_part_of_another_configuration_is_named_and_one_without_a_mark_is_not(tmp_path):
    own, other = {"steps": 4, "rates": [0.1]}, {"steps": 8, "rates": [0.1]}
    paths = {name: written(tmp_path / f"{name}.parquet", config) for name, config in (("own", own), ("none", None))}
    allowed = {configuration_digest({"rates": [0.1], "steps": 4})}
    require_configurations(paths.values(), allowed)
    foreign = written(tmp_path / "foreign.parquet", other)
    with pytest.raises(AtlasError, match=r"foreign\.parquet: was made with another configuration; delete it and run"):
        require_configurations([*paths.values(), foreign], allowed)


def test_a_file_that_cannot_be_read_is_left_to_its_reader(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    require_configurations([tmp_path / "a.parquet", tmp_path / "missing.parquet"], set())


@pytest.mark.parametrize("study", MEASURED)
def test_every_measured_study_names_its_configurations(study):
    jobs = next(each for each in all_studies() if each.name == study).part("jobs")
    one, other = jobs.outputs(StudyConfig()).configurations, jobs.outputs(StudyConfig()).configurations
    assert one
    assert [*map(configuration_digest, one)] == [*map(configuration_digest, other)]
