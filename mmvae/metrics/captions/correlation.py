"""Do generated images and captions belong together (Table 4)?"""

from mmvae.data.prepared import CAPTIONS
from mmvae.evaluation import correlation
from mmvae.evaluation.captioned import BOTH, JOINT, CaptionTest
from mmvae.model import MultimodalVAE


def measure(_: MultimodalVAE, test: CaptionTest) -> dict:
    """Eq. (4) for a model of captions, of one kind of image, or of both.

    Cross generation and reconstruction pair what was made with the real other half; `both` is Figure 14's; `floor`
    pairs captions with strangers' images, `floor_species` with those of other species.
    """
    real, made, image, each = test.real, test.made, test.image, test.each
    pairs = {
        "ground_truth": (real.features, real.tokens, each),
        "floor": (real.features[test.strangers], real.tokens, each),
    }
    if test.foreigners is not None:
        pairs["floor_species"] = (real.features[test.foreigners], real.tokens, each)
    if image in made:
        pairs["image_reconstruction"] = (made[image].features, real.tokens, each)
    if CAPTIONS in made:
        pairs["caption_reconstruction"] = (real.features, made[CAPTIONS].tokens, each)
    if BOTH in made:
        if JOINT in made:
            pairs["joint"] = (made[JOINT].features, made[JOINT].tokens, 1)
        pairs["image_to_sentence"] = (real.features, made[image].tokens, each)
        pairs["sentence_to_image"] = (made[CAPTIONS].features, real.tokens, each)
        pairs["both"] = (made[BOTH].features, made[BOTH].tokens, each)
    return correlation.table(test.judges, pairs, test.species)
