"""Times inverse multiscale occlusion beside the published algorithm, and compares their maps.

The published algorithm (arXiv:2310.20012) pastes one window at a time and scores one spectrum at a
time; it is written here from its description. Its rate is that of random windows of each outlier:
all of them would take minutes per outlier. Its maps are made of all windows, many at a time, which
changes nothing but the rounding of matrix products.

The encoder that knows the redshift is that of the trained scorer; the other one is trained, too,
and a density of its latents is trained here.
"""

import math
import time
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

import uraniborg
from uraniborg.benchmarks import measured
from uraniborg.jobs import job
from uraniborg.records import write_records
from uraniborg.spectra.attribution.baselines import ordinary_spectra
from uraniborg.spectra.attribution.fast import fast_inverse_occlusion
from uraniborg.spectra.attribution.occlusion import Scales, combined, inverse_occlusion
from uraniborg.spectra.attribution.scores import LatentScore
from uraniborg.spectra.autoencoder import SpectrumAutoencoder
from uraniborg.spectra.dataset import Batch, SpectraDataset, masked
from uraniborg.spectra.outliers.density import Sample
from uraniborg.spectra.outliers.density_training import train_density
from uraniborg.spectra.outliers.misfit import ModelMisfit
from uraniborg.spectra.outliers.scorer import OutlierScorer, encoded, log_snr
from uraniborg.tables import Spectra

PEER = "the published algorithm, one window at a time, uraniborg"
# Objects among which outliers are sought, and outliers that are explained.
OBJECTS, OUTLIERS = 2048, 2
# Windows of each outlier that the peer is timed with, and repetitions.
WINDOWS, REPETITIONS = 300, 2


class Case:
    """An outlier and what it is compared with.

    Args:
        scorer: Says what is an outlier.
        dataset: Spectra.
        row: Which of them it is.
    """

    def __init__(self, scorer: OutlierScorer, dataset: SpectraDataset, row: int) -> None:
        spectra = dataset.spectra
        name, snr = spectra.column("object_id")[row], float(spectra.column("snr")[row])
        self.spectrum = masked(dataset.batch(np.array([row])))
        self.score = LatentScore(scorer, snr)
        self.baselines = ordinary_spectra(scorer, self.spectrum, name)

    @torch.no_grad()
    def one_by_one(self, windows: Tensor) -> None:
        """Scores windows (N, 3) of baseline, first pixel and the one after the last."""

        flux, ivar, z = self.spectrum
        for baseline, start, stop in windows.tolist():
            pasted = self.baselines[baseline].clone()
            pasted[start:stop] = flux[0, start:stop]
            self.score(Batch(pasted[None], ivar, z))

    def windows(self) -> Tensor:
        """Random windows of all, shape (`WINDOWS`, 3)."""

        edges = Scales().windows(self.spectrum.flux.shape[1])
        windows = torch.cat([torch.stack([x[:-1], x[1:]], dim=1) for x in edges])
        random = torch.Generator().manual_seed(0)
        rows = torch.randint(len(windows), (WINDOWS,), generator=random)
        baseline = torch.randint(len(self.baselines), (WINDOWS, 1), generator=random)
        return torch.cat([baseline, windows[rows]], dim=1)

    def fast(self, share: float) -> Tensor:
        """Our map, of every scale and baseline."""

        return fast_inverse_occlusion(self.score, self.spectrum, self.baselines, share=share)

    def published(self) -> Tensor:
        """The published one."""

        return inverse_occlusion(self.score, self.spectrum, self.baselines)


def flux_scorer(model: SpectrumAutoencoder, dataset: SpectraDataset) -> OutlierScorer:
    """A scorer of a trained model, with a density that is trained with the same spectra."""

    snr = dataset.spectra.column("snr")[dataset.rows]
    misfit = ModelMisfit.of(model, dataset.batches(256))
    objects = encoded(model, misfit, dataset, snr)
    context = objects.log_snr[:, None].float()
    finite = objects.latent.isfinite().all(dim=1) & context.isfinite().all(dim=1)
    sample = Sample(objects.latent[finite], context[finite])
    with TemporaryDirectory() as folder:
        density = train_density(*sample, sample, directory=folder)[0]
    names = dataset.spectra.column("object_id")[dataset.rows]
    return OutlierScorer.of(model, density, misfit, objects, objects, names)


def outliers(scorer: OutlierScorer, dataset: SpectraDataset) -> list[Case]:
    """The objects whose latents are most surprising."""

    snr = log_snr(dataset.spectra.column("snr")[dataset.rows])
    scores = scorer.score(dataset.batch(np.arange(len(dataset))), snr)
    order = scores.latent_surprise.nan_to_num(nan=-torch.inf).argsort(descending=True)
    return [Case(scorer, dataset, row) for row in order[:OUTLIERS].tolist()]


def seconds(code: Callable[[], object]) -> float:
    """The best of some repetitions, after one that warms up."""

    code()
    record = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        code()
        record.append(time.perf_counter() - start)
    return min(record)


def of_encoder(
    name: str, cases: list[Case], shares: tuple[float, ...], threads: int
) -> list[dict[str, object]]:
    """Windows per second, and how far the maps are from the published ones in the worst case."""

    peer = [seconds(partial(case.one_by_one, case.windows())) for case in cases]
    published = [combined(case.published()) for case in cases]
    length = cases[0].spectrum.flux.shape[1]
    number = sum(len(edges) - 1 for edges in Scales().windows(length)) * len(cases[0].baselines)
    common = {"objects": OUTLIERS * number, "threads": threads}
    rows = []
    for share in shares:
        kind = "every window" if share == 1 else f"small windows estimated but {2 * share:.0%}"
        title = f"inverse occlusion, {name} encoder, {kind}"
        ours = [seconds(partial(case.fast, share)) for case in cases]
        maps = [combined(case.fast(share)) for case in cases]
        correlation = min(
            float(torch.corrcoef(torch.stack(pair))[0, 1])
            for pair in zip(maps, published, strict=True)
        )
        of_peer = {"peer_name": PEER, "peer_version": uraniborg.__version__}
        rows += [
            measured(
                title,
                OUTLIERS * number / sum(ours),
                OUTLIERS * WINDOWS / sum(peer),
                unit="windows / s",
                **common,
                **of_peer,
            ),
            measured(
                f"correlation with the published map: {title}",
                correlation,
                math.nan,
                unit="",
                **common,
            ),
        ]
    print(*rows, sep="\n")
    return rows


with job(snakemake):
    threads = snakemake.threads
    torch.set_num_threads(threads)
    files = snakemake.input
    spectra = Spectra(list(map(str, files.spectra)))
    dataset = SpectraDataset(spectra, np.arange(min(OBJECTS, len(spectra))))
    scorer = OutlierScorer.load(files.scorer, files.scorer_card)
    flux = flux_scorer(SpectrumAutoencoder.load(files.flux, files.flux_card), dataset)
    rows = [
        *of_encoder("restframe", outliers(scorer, dataset), (1.0, 0.05), threads),
        *of_encoder("flux", outliers(flux, dataset), (0.05,), threads),
    ]
    write_records(snakemake.output[0], rows)
