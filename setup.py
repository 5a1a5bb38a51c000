"""Puts the workflow into the package, so that an install can run it without a clone; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# What `snakemake` reads, and the tables of the released study; the library itself is where Python finds it.
WORKFLOW = ("Snakefile", "config.yaml", "environment.yml", "workflow/**/*", "data/**/*", "docs/*.zip")


class BuildWithWorkflow(build_py):
    """Copies the workflow into the built package, as peft_atlas/packaged_workflow."""

    def run(self) -> None:
        """Build the package, then add the workflow to it."""
        super().run()
        if self.editable_mode:
            return
        for file in sorted(path for pattern in WORKFLOW for path in Path().glob(pattern) if path.is_file()):
            built = Path(self.build_lib, "peft_atlas/packaged_workflow", file)
            built.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(file), str(built))


setup(cmdclass={"build_py": BuildWithWorkflow})
