"""Which objects a model is trained on: the same ones on every machine, whatever their order."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np

__all__ = ["split", "split_of", "split_rows"]


def split(object_id: str, valid: float, test: float) -> Literal["train", "valid", "test"]:
    """The part of a survey that an object belongs to.

    It depends on the identifier alone, so that it stays when other objects come or go, and an
    object of two surveys under one identifier is in the same part of both. With a larger `test`,
    no object leaves the test part.

    Args:
        object_id: Identifier of the object.
        valid: Fraction of objects for validation.
        test: Fraction of objects for tests.

    Example:
        >>> split("0266-51602-0001", valid=0.1, test=0.15)
        'train'
    """

    digest = hashlib.blake2b(object_id.encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    if position < test:
        return "test"
    return "valid" if position >= 1 - valid else "train"


def split_of(object_ids: Iterable[str], fractions: Mapping[str, float]) -> np.ndarray:
    """The part that each object belongs to, shape (N,).

    Args:
        object_ids: Identifiers of N objects.
        fractions: `valid` and `test`.

    Raises:
        ValueError: The fractions are negative or leave nothing to train on.
    """

    valid, test = fractions["valid"], fractions["test"]
    if min(valid, test) < 0 or valid + test >= 1:
        raise ValueError("valid and test are fractions that sum to less than 1")
    return np.array([split(name, valid, test) for name in object_ids], dtype=object)


def split_rows(object_ids: Iterable[str], fractions: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Row numbers of `train`, `valid` and `test`, each in order; see `split_of`."""

    parts = split_of(object_ids, fractions)
    return {name: np.flatnonzero(parts == name) for name in ("train", "valid", "test")}
