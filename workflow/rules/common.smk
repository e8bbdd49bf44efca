"""
What all rules share: checked configuration, surveys, where things are, and the list of analyses.

REQUIRED INPUTS: config, validated against schemas/config.schema.yaml.
"""

import os
import re
from functools import cache
from pathlib import Path

from uraniborg.errors import UserError
from uraniborg.provenance import code_digest, settings_digest
from uraniborg.settings import validate
from uraniborg.surveys.registry import load_surveys
from uraniborg.surveys.matching import matching_files

# Spinning threads of one job starve the other jobs on the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Memory of arrays is kept for the next batch instead of being mapped anew, page by page, for each.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**28))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**29))

WORKFLOW = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SCHEMAS = WORKFLOW / "schemas"

# Jobs in a conda environment of their own find the library here; Snakemake would hide the variable.
os.environ.setdefault("PYTHONPATH", str(WORKFLOW))
workflow.deployment_settings.conda_not_block_search_path_envvars = True


config.update(validate(config, SCHEMAS / "config.schema.yaml", name="config"))
SURVEYS = load_surveys(config["surveys_folder"], config["surveys"])


def known_survey(name, key, kind):
    """The survey that a configuration key names; an error if there is none of this kind."""
    if name not in SURVEYS:
        known = ", ".join(SURVEYS)
        raise UserError(
            f"config: {key}: there is no survey {name!r}; known are {known}."
        )
    if SURVEYS[name].kind != kind:
        raise UserError(
            f"config: {key}: {name!r} is a survey of {SURVEYS[name].kind}; name one of {kind}."
        )
    return name


def one_of(names):
    """A pattern for a wildcard that takes one of the names; with no names it takes nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    survey=one_of(SURVEYS),
    shard=r"\d{4}",


PRODUCTS = ("figures", "tables", "claims", "benchmarks")
# What each analysis offers to the targets, by kind of product.
ANALYSES = {}


def analysis(name, figures=(), tables=(), claims=(), benchmarks=()):
    """Adds to what an analysis offers; `all` and the scorecard ask for everything registered."""
    products = ANALYSES.setdefault(name, {kind: [] for kind in PRODUCTS})
    for kind, paths in zip(
        PRODUCTS, (figures, tables, claims, benchmarks), strict=True
    ):
        products[kind].extend(paths)


def products(name):
    """Figures, tables and claims of an analysis."""
    return [path for kind in PRODUCTS[:3] for path in ANALYSES[name][kind]]


def model(analysis, variant):
    """Weights and card of a trained model, as named inputs."""
    folder = f"results/models/{analysis}/{variant}"
    return {"weights": f"{folder}/model.safetensors", "card": f"{folder}/model.json"}


def offered(kind):
    """Files of one kind over all analyses."""
    return [path for products in ANALYSES.values() for path in products[kind]]


def untimed():
    """Figures, tables and scorecard of all analyses."""
    return [*offered("figures"), *offered("tables"), "results/scorecard.parquet"]


def everything():
    """Figures, tables, scorecard and benchmarks of all analyses."""
    return [*untimed(), "results/benchmarks.parquet"]


def code(script):
    """Digest of the library modules that a script imports: editing one reruns just its rules."""
    return code_digest(WORKFLOW / "scripts" / script)


def resource(name):
    """A file that ships with the project, also when another project uses this workflow."""
    here = Path("resources", name)
    return str(here if here.exists() else WORKFLOW.parent / here)


def data_files(*patterns):
    """Files of the user that match patterns below data_root; an error if there is none."""
    return [
        str(path) for path in matching_files(patterns, config["data_root"]).values()
    ]


def data_file(pattern):
    """The file of the user that matches a pattern, the first if there are several."""
    return data_files(pattern)[0]


@cache
def data_version(patterns):
    """A digest of names, sizes and dates of the user's files, so that new ones are read."""
    stats = [
        (path, os.stat(path)) for path in (data_files(*patterns) if patterns else ())
    ]
    return settings_digest(
        [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    )


def shards(survey, kind="spectra", suffix="arrow"):
    """Files of one kind over all shards of a survey."""
    return [
        f"results/surveys/{survey}/{kind}/{shard:04d}.{suffix}"
        for shard in range(SURVEYS[survey].shards)
    ]


def truth(survey):
    """The noiseless shards of a simulated survey, none for a real one."""
    return shards(survey, "truth") if SURVEYS[survey].source == "simulate" else []


def real(*products):
    """The products if the configuration says that the real data are there, else none."""
    return list(products) if config["universe"]["real_data"] else []
