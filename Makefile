# Two commands matter: `make demo` runs the main job on examples/, `make test` passes the tests.
PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin/python
# CPU build of PyTorch. For CUDA: make TORCH=torch==2.13.0 TORCH_INDEX=  (see README, "GPU").
TORCH ?= torch==2.13.0+cpu
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
INSTALLED := $(VENV)/.installed

.PHONY: demo test browser lint types unit docs install clean

install: $(INSTALLED)

# PyTorch comes first and alone: an unpinned index would otherwise bring gigabytes of CUDA packages.
$(INSTALLED): requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25" "setuptools>=75,<81" wheel
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --retries 1 $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$(TORCH)"
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(RUN) -m jobs.compile
	touch $@

demo: $(INSTALLED)
	$(RUN) -m jobs.demo --output out/demo

test: browser lint types unit

# What the tests of the report need, where it may be installed; without it they are skipped, in CI they fail.
browser:
	sh tests/support/browser.sh

lint: $(INSTALLED)
	$(RUN) -m ruff check .

# strict, on pipeline, actors and jobs (pyproject.toml)
types: $(INSTALLED)
	$(RUN) -m mypy

unit: $(INSTALLED)
	$(RUN) -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder

docs: $(INSTALLED)
	$(RUN) -m mkdocs build --strict --site-dir out/site

clean:
	rm -rf out $(VENV)
