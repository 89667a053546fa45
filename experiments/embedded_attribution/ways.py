"""Every attribution recipe, and how each is fitted on one kind of images alone.

A recipe is asked as it is, of the same generators (A) and of others (B); fitted on real images
alone (`data.fit_role=real`), of synthetic ones; fitted on synthetic images alone, of real ones; and
with every image, of training and test, replaced by its noise residual (`data.residual`).
"""

from __future__ import annotations

from dataclasses import dataclass

BOTH = "is trained on pairs of a real and a synthetic image"
ALREADY = "reads residuals alone: see A and B"
DENOISER = "gaussian"


@dataclass(frozen=True)
class Way:
    """A recipe.

    Attributes:
        name: For short.
        experiment: The recipe.
        real: Words that let it be fitted on real images alone; or why it cannot be, `no: ...`.
        synthetic: Likewise, on synthetic images alone.
        residual: Words beside `data.residual`; or why not.
        plain: Words of the recipe as it is.
        trained: By gradient descent, from a seed.
    """

    name: str
    experiment: str
    real: str = ""
    synthetic: str = ""
    residual: str = ""
    plain: str = ""
    trained: bool = False

    def words(self, setting: str) -> list[str] | str:
        """Give the words of a setting, or the reason why it cannot be had."""
        own = getattr(self, setting)
        if own.startswith("no: "):
            return own.removeprefix("no: ")
        general = {
            "plain": [],
            "real": ["data.fit_role=real"],
            "synthetic": ["data.fit_role=generated"],
            "residual": [f"data.residual={DENOISER}"],
        }
        plain = [] if setting == "plain" else self.plain.split()
        return [*general[setting], *plain, *own.split()]


def nearest(name: str, experiment: str, **more: str) -> Way:
    return Way(name, experiment, synthetic="method.reference=generated", **more)


def fingerprint(denoiser: str) -> Way:
    name = f"fingerprint_{denoiser}"
    return Way(name, f"beyond/{name}", real="method.reference=real",
               synthetic="method.whiten=false", residual=f"no: {ALREADY}")  # fmt: skip


SIX = "method.real_class=false data.sampling.real_class=false"
REAL_ONLY = f"no: {BOTH}"

METHODS = (
    nearest("nearest_8x8", "quickstart/attribution_distance",
            plain="+method.representation.size=8", residual="no: has no fine detail"),
    nearest("nearest_pixels", "quickstart/attribution_distance"),
    nearest("vote_pixels", "beyond/vote_pixels"),
    nearest("vote_ncc", "beyond/vote_ncc"),
    nearest("residual_nearest_real", "beyond/residual_nearest_real", residual=f"no: {ALREADY}"),
    Way("nearest_generated", "quickstart/attribution_nearest_generated",
        real="method.reference=real"),
    fingerprint("gaussian"),
    fingerprint("median"),
    fingerprint("wavelet"),
    Way("spectrum_lda", "beyond/spectrum_lda", real="method.reference=real"),
    Way("residual_spectrum_lda", "beyond/residual_spectrum_lda", real="method.reference=real",
        residual=f"no: {ALREADY}"),
    Way("mosaic", "beyond/mosaic", synthetic="method.references=generated"),
    Way("mosaic_both", "beyond/mosaic_both", real="no: is that of mosaic",
        synthetic="no: is that of mosaic"),
    nearest("vote_features", "beyond/vote_features"),
    nearest("1269_svm", "table3/1269_efficientnet_b0_svm"),
    Way("midlayer_logistic", "beyond/midlayer_logistic", real="method.reference=real"),
    Way("1396_siamese", "table3/1396_siamese", real=REAL_ONLY, synthetic=REAL_ONLY, trained=True),
    Way("attribution_siamese", "quickstart/attribution_siamese", real=REAL_ONLY,
        synthetic=REAL_ONLY, trained=True),
    Way("1287_resnet18", "table3/1287_resnet18", real="method.keep=last",
        synthetic="data.sampling.role=generated data.fold=0 method.reference=generated",
        trained=True),
    Way("finetuned_svm", "beyond/finetuned_svm", trained=True,
        synthetic="data.sampling.role=generated data.holdout=candidates"
                  " method.reference=generated"),
    Way("1425_efficientnet_b1", "table3/1425_efficientnet_b1", real=f"{SIX} method.keep=last",
        synthetic=SIX, trained=True),
    Way("detail", "beyond/detail", trained=True),
    Way("experts_attribution", "beyond/experts_attribution", trained=True),
)  # fmt: skip
"""1267, 1268 and 1271 are 1269 with other networks. 1426, 1782, 1871 and `beyond/best_attributor`
are votes of networks like 1425's, and a stack of mosaics and `detail`: what these know, they know.
"""
