# make            build .venv and run the whole study, with a first report within two minutes; a second run does nothing
# make release VERSION=X.Y.Z  a whole release: version, changelog, study, finished report, wheel, sdist, site, checks
# make finished-report  a finished report with its tables in docs/, from results/ as they are
# make site       the documentation as web pages beside the finished report, in build/site
# make test       build the same and run the whole test suite
# make test-cluster  the tests that start a one-node Slurm, for which its packages must be installed
# make smoke      a tiny study through every rule
# make bench      speed of the population against the notebook's own loop
# make bench-encoder  speed of the encoder study against transformers.Trainer with peft
# make bench-decoder  speed and memory of the decoder's training against transformers.Trainer with peft
# make bench-methods  time of a training step of LoRA and DoRA here against peft's, in pairs
# make bench-driver  what Snakemake itself costs: its share of a core while jobs run, and the time of a dry run
# make bench-published  time of all that rests on the published tables, after a change of one
# make bench-style  time of all that a changed style of the figures draws and writes again
#
# Linux users without a GPU can keep CUDA packages out: TORCH_INDEX_URL=<PyTorch's index of CPU builds> make

PYTHON ?= python3
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ACTIVE := PATH="$(CURDIR)/$(BIN):$$PATH"
STAGE := $(ACTIVE) snakemake --cores $(CORES) --config
# Each process takes the tests of the other's end when its own are done. One more than cores was no faster.
PYTEST := python -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: all release finished-report site test fast-test test-cluster smoke bench bench-encoder bench-decoder bench-methods bench-driver bench-published bench-style schema docs clean

# The first time in stages, so that there is a report within two minutes: each stage writes the same report again and
# says which studies are still running. Nothing is trained twice.
all: $(INSTALLED)
	test -e results/report.html || { $(STAGE) 'studies=[notebook]' 'later=[adaptation, encoder]' && \
	  $(STAGE) 'studies=[adaptation, notebook]' 'later=[encoder]'; }
	$(ACTIVE) snakemake --cores $(CORES)

# A finished report with its tables in docs/, for readers who have not run anything; docs/release.json says of what.
finished-report: $(INSTALLED)
	$(ACTIVE) python -m peft_atlas.report.release results docs
	$(ACTIVE) python -m peft_atlas.report.choice_page docs/choose-a-method.md

# Refuses in one line before anything is changed. The study runs again where the version changed, as every table bears it.
release: $(INSTALLED)
	$(ACTIVE) python -m peft_atlas.release.prepare "$(VERSION)"
	$(MAKE) all
	$(MAKE) finished-report site
	rm -rf dist build/lib build/bdist.*  # which setuptools would pack again, with what an older version left there
	$(ACTIVE) python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(ACTIVE) python -c "from setuptools import build_meta; build_meta.build_sdist('dist')" > /dev/null
	$(ACTIVE) python -m peft_atlas.release.check
	@echo 'Next: make test; git add docs; git commit -m "The finished report of $(VERSION)"; git tag v$(VERSION)'

# Warnings are errors: a page that is not listed, a link that leads nowhere, a docstring that cannot be read.
site: $(INSTALLED)
	$(ACTIVE) python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet --builder html docs build/site

test: $(INSTALLED)
	$(ACTIVE) $(PYTEST)

fast-test: $(INSTALLED)
	$(ACTIVE) $(PYTEST) -m "not slow"

# Debian: apt-get install slurmctld slurmd slurm-client munge; without them the tests skip and say so.
test-cluster: $(INSTALLED)
	$(ACTIVE) python -m pytest tests/cluster

smoke: $(INSTALLED)
	$(ACTIVE) snakemake --cores $(CORES) smoke

bench: $(INSTALLED)
	$(ACTIVE) python benchmarks/notebook_loop.py

bench-encoder: $(INSTALLED)
	$(ACTIVE) python benchmarks/encoder_trainer.py

bench-decoder: $(INSTALLED)
	$(ACTIVE) python benchmarks/decoder_bench.py

bench-methods: $(INSTALLED)
	$(ACTIVE) python benchmarks/method_step_time.py

bench-driver: $(INSTALLED)
	$(ACTIVE) python benchmarks/driver.py

bench-published: $(INSTALLED)
	$(ACTIVE) python benchmarks/reruns.py published

bench-style: $(INSTALLED)
	$(ACTIVE) python benchmarks/reruns.py style

# Writes the JSON schema of config.yaml again, after a change of src/peft_atlas/config.py.
schema: $(INSTALLED)
	$(ACTIVE) python -m peft_atlas.snakemake_support.config_schema workflow/schemas/config.schema.json

# Writes again what the docs take from the code and the released tables.
docs: $(INSTALLED)
	$(ACTIVE) python -m peft_atlas.snakemake_support.rulegraph docs/how-to.md
	$(ACTIVE) python -m peft_atlas.tables.data_dictionary docs/data-dictionary.md
	$(ACTIVE) python -m peft_atlas.report.choice_page docs/choose-a-method.md

# torch first and by itself, so that no other package can ask for another build of it.
$(INSTALLED): constraints.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python >= 3.11 is needed; name one: make PYTHON=python3.12')"
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) $(TORCH)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[train,slurm,export,docs,test]"
	touch $@

clean:
	rm -rf $(VENV) .snakemake logs results/[!R]* figures/[!R]*
