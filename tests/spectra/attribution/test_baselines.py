import torch

from uraniborg.spectra.attribution.baselines import ordinary_spectra
from uraniborg.spectra.autoencoder import best_fit_amplitude


def test_chosen_by_seed_and_object_alone(explained):
    first = ordinary_spectra(explained.scorer, explained.spectrum, "a", 4)
    torch.manual_seed(99)
    again = ordinary_spectra(explained.scorer, explained.spectrum, "a", 4)
    assert torch.equal(first, again)
    for other in (
        ordinary_spectra(explained.scorer, explained.spectrum, "b", 4),
        ordinary_spectra(explained.scorer, explained.spectrum, "a", 4, seed=1),
    ):
        assert not torch.equal(first, other)


def test_as_bright_as_the_object(explained):
    flux, ivar, _ = (x.expand(4, *x.shape[1:]) for x in explained.spectrum)
    torch.testing.assert_close(
        best_fit_amplitude(flux, ivar, explained.baselines), torch.ones(4), rtol=1e-4, atol=0
    )


def test_positive_where_the_flux_is_not(explained):
    dark = explained.spectrum._replace(flux=-explained.spectrum.flux)
    assert (ordinary_spectra(explained.scorer, dark, "a").mean(dim=1) > 0).all()


def test_ordinary(explained):
    spectra = explained.spectrum._replace(
        flux=explained.baselines,
        ivar=explained.spectrum.ivar.expand(4, -1),
        z=explained.spectrum.z.expand(4),
    )
    assert (explained.score(spectra) < explained.score(explained.spectrum)).all()


def test_an_object_is_not_compared_with_itself(explained):
    reference = explained.scorer.reference
    restframe = explained.scorer.model.decode(reference.latent[3:4])
    own = explained.scorer.model.transform(restframe, explained.spectrum.z)
    own = (own / own.norm()).detach()

    def nearest(object_id):
        """How close the closest of nearly all of the reference is."""

        number = len(reference.latent) - 1
        others = ordinary_spectra(explained.scorer, explained.spectrum, object_id, number)
        assert len(others) == number
        return float((others / others.norm(dim=1, keepdim=True) - own).norm(dim=1).min())

    assert nearest("stranger") < 1e-6 < nearest(reference.object_id[3])
