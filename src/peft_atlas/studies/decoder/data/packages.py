"""The package that carries TextWorld Commonsense, and the job that fetches it."""

from __future__ import annotations

from peft_atlas.packages import Package, fetch
from peft_atlas.step import Step
from peft_atlas.studies.decoder.packaged import COMMONSENSE_FILE

TEXTWORLD = Package(
    "textworld_express==1.1.0",
    "52a03527b8ac17f0ca007728a4e5c2f4462d58249d31b20b0899e27c19b2c28e",
    {
        COMMONSENSE_FILE: f"textworld_express/{COMMONSENSE_FILE}",
        "WHEEL_LICENSE.txt": "textworld_express-1.1.0.dist-info/licenses/LICENSE",
    },
    "TextWorld Commonsense (Murugesan et al. 2021, arXiv:2010.03790), as TextWorldExpress packs it, Apache-2.0; the "
    "licence of the original was not checked. The data are read, never redistributed.",
    {COMMONSENSE_FILE: "261888d423668bdfcd81c49bba51d9f84b1d55c9aa12e1ca16fa6a7cf2469729"},
)


def fetch_step(step: Step) -> None:
    """Fetch the things and their places."""
    fetch(TEXTWORLD, step.output("things").parent)
