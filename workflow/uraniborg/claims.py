"""The scorecard: every headline number beside the paper's, judged by a criterion set before."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from uraniborg.tables import Column

__all__ = ["CLAIM_COLUMNS", "evaluate", "for_people", "judge", "median"]

CLAIM_COLUMNS = (
    Column("analysis", pa.string(), "", "Analysis that makes the claim"),
    Column("claim", pa.string(), "", "Name of the claim"),
    Column("statement", pa.string(), "", "What is claimed"),
    Column("paper", pa.string(), "", "Paper that the claim is held against"),
    Column("paper_value", pa.float64(), "", "The paper's value in the claim's unit, if it has one"),
    Column("value", pa.float64(), "", "Our value in the claim's unit"),
    Column("uncertainty", pa.float64(), "", "Standard error of our value"),
    Column("unit", pa.string(), "", "Unit of the values"),
    Column("n", pa.int64(), "", "Objects that our value rests on, 0 where it is not evaluated"),
    Column("data", pa.string(), "", "Whether the data were real or simulated"),
    Column("tier", pa.string(), "", "Scale of the run: test, default or paper"),
    Column("criterion", pa.string(), "", "What the value has to fulfil, declared before the run"),
    Column("verdict", pa.string(), "", "met, missed, reported (no criterion) or not evaluated"),
)


def judge(
    claims: Mapping[str, Mapping[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
    *,
    analysis: str,
    tier: str,
) -> list[dict[str, Any]]:
    """Holds an analysis' numbers against all its claims.

    Args:
        claims: Declared claims by name, see `evaluate`.
        measured: By the same names `value`, `uncertainty` and `n`, as `median` gives them, and
            `data`, the kind of data they were measured on. A claim about simulated data is not
            evaluated on real data, nor the other way round.
        analysis: Name of the analysis.
        tier: Scale of the run.

    Returns:
        A row of the scorecard per declared claim, measured or not.
    """

    rows = []
    for name, declared in claims.items():
        number = dict(measured.get(name, {}))
        if number.pop("data", declared["data"]) != declared["data"]:
            number = {}
        rows.append(evaluate(declared, analysis=analysis, claim=name, tier=tier, **number))
    return rows


def evaluate(
    declared: Mapping[str, Any],
    *,
    analysis: str,
    claim: str,
    tier: str,
    value: float = math.nan,
    uncertainty: float = math.nan,
    n: int = 0,
) -> dict[str, Any]:
    """Holds a value against a declared claim.

    Args:
        declared: The claim's entry in the configuration: `statement`, `paper`, `data`, and
            optionally `paper_value`, `unit`, `minimum`, `maximum`. A claim without a bound is
            reported, neither met nor missed.
        analysis: Name of the analysis.
        claim: Name of the claim.
        tier: Scale of the run.
        value: What was measured; NaN if it could not be.
        uncertainty: Its standard error, NaN if unknown.
        n: Objects that it rests on.

    Returns:
        A row of the scorecard. A claim without a value is 'not evaluated', never met.
    """

    minimum, maximum = declared.get("minimum"), declared.get("maximum")
    if not math.isfinite(value):
        verdict = "not evaluated"
    elif minimum is None and maximum is None:
        verdict = "reported"
    elif (minimum is None or value >= minimum) and (maximum is None or value <= maximum):
        verdict = "met"
    else:
        verdict = "missed"
    return {
        "analysis": analysis,
        "claim": claim,
        "statement": declared["statement"],
        "paper": declared["paper"],
        "paper_value": declared.get("paper_value", math.nan),
        "value": value,
        "uncertainty": uncertainty,
        "unit": declared.get("unit", ""),
        "n": n if math.isfinite(value) else 0,
        "data": declared["data"],
        "tier": tier,
        "criterion": _criterion(minimum, maximum),
        "verdict": verdict,
    }


def _criterion(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f"{minimum:g} to {maximum:g}"
    if minimum is not None:
        return f"at least {minimum:g}"
    if maximum is not None:
        return f"at most {maximum:g}"
    return "none"


def median(values: pd.Series, draws: int = 200) -> dict[str, float]:
    """The median with its standard error by bootstrap over objects, as `evaluate` takes them.

    Args:
        values: One per object; those that are NaN do not count.
        draws: Bootstrap samples.
    """

    finite = values.dropna().to_numpy()
    if not len(finite):
        return {}
    samples = np.random.default_rng(1).choice(finite, (draws, len(finite)))
    return {
        "value": float(np.median(finite)),
        "uncertainty": float(np.median(samples, axis=1).std()),
        "n": len(finite),
    }


def for_people(table: pd.DataFrame) -> pd.DataFrame:
    """The scorecard as text, numbers with their uncertainty."""

    rows = [
        {
            "analysis": row.analysis,
            "claim": row.statement,
            "paper": row.paper,
            "paper's": _number(row.paper_value, unit=row.unit),
            "ours": _number(row.value, row.uncertainty, row.unit),
            "n": str(row.n) if row.n else "-",
            "criterion": row.criterion,
            "data": f"{row.data}, {row.tier}",
            "verdict": row.verdict,
        }
        for row in table.itertuples()
    ]
    return pd.DataFrame(rows, dtype=object)


def _number(value: float, uncertainty: float = math.nan, unit: str = "") -> str:
    if not math.isfinite(value):
        return "-"
    error = f" ± {uncertainty:.2g}" if math.isfinite(uncertainty) else ""
    return f"{value:.4g}{error} {unit}".strip()
