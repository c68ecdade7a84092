"""Decoders of reduced features: LangSplat's checkpoints, and selections through them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csgs_codec import EncodeOptions, Scene, UsageError, decode, encode, select
from csgs_codec.metrics.queries import cosine_maps
from csgs_codec.render import RenderGaussians, render
from csgs_codec.semantics import similar
from csgs_codec.semantics.decoders import Mlp, decoder_from_bytes, read_decoder
from csgs_codec.semantics.grammar import vector_term
from csgs_codec.semantics.heads import Head
from csgs_codec.semantics.select import Selection
from csgs_codec.semantics.similar import Similar
from tests.scenes import inria, smooth
from tests.unit.test_heads import _Trap
from tests.unit.test_segmentation import camera, two_sheets

torch = pytest.importorskip("torch")
nn = torch.nn

LATENT, OUTPUTS = 3, 40
NAMES = tuple(f"semantic_{i}" for i in range(LATENT))


class Autoencoder(nn.Module):  # type: ignore[misc]
    """Keys and layers of LangSplat's checkpoints: only the encoder is normalised."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        encoder = [nn.Linear(OUTPUTS, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, LATENT)]
        decoder = [nn.Linear(LATENT, 12), nn.ReLU(), nn.Linear(12, 16), nn.ReLU()]
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList([*decoder, nn.Linear(16, OUTPUTS)])

    def decode(self, features: np.ndarray) -> np.ndarray:
        """Unit vectors, as the model gives them."""
        values = torch.tensor(features, dtype=torch.float32)
        for layer in self.decoder:
            values = layer(values)
        return (values / values.norm(dim=-1, keepdim=True)).detach().numpy()


MODEL = Autoencoder()


def saved(state: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def features_of(scene: Scene) -> np.ndarray:
    return scene.stack(NAMES)


@pytest.fixture(scope="module")
def file() -> bytes:
    """Latents, empty in every tenth row; the checkpoint and a classifier of another width."""
    scene = inria(150, 0)
    latents = smooth(scene.stack(("x", "y", "z")), LATENT, 5).astype(np.float32)
    latents[::10] = 0
    scene.columns.update(zip(NAMES, latents.T.copy(), strict=True))
    classes = io.BytesIO()
    np.savez(classes, weight=np.ones((4, LATENT)))
    attachments = {"best_ckpt.pth": saved(MODEL.state_dict()), "classifier.npz": classes.getvalue()}
    options = EncodeOptions(look=False, order="keep", attachments=attachments)
    return encode(scene, options).data


def test_a_checkpoint_decodes_as_its_model_does(tmp_path: Path) -> None:
    path = tmp_path / "best_ckpt.pth"
    path.write_bytes(saved(MODEL.state_dict()))
    decoder = read_decoder(path)
    assert (decoder.width, decoder.dimensions) == (LATENT, OUTPUTS)
    latents = np.random.default_rng(0).normal(size=(20, LATENT))
    found = decoder.decode(latents)
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, MODEL.decode(latents), atol=1e-5)


def test_a_linear_head_is_a_decoder() -> None:
    stream = io.BytesIO()
    weight, bias = np.eye(5)[:, :2] + 1, np.arange(5.0)
    np.savez(stream, weight=weight, bias=bias)
    decoder = decoder_from_bytes("a.npz", stream.getvalue())
    assert isinstance(decoder, Head) and (decoder.width, decoder.dimensions) == (2, 5)
    np.testing.assert_allclose(decoder.decode(np.ones((1, 2))), [weight.sum(axis=1) + bias])


def changed(**arrays: Any) -> bytes:
    state = {key: value for key, value in MODEL.state_dict().items() if key.startswith("decoder")}
    for key, value in arrays.items():
        name = key.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = torch.as_tensor(value)
    return saved(state)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (changed(decoder__2__weight=np.ones((16, 11), np.float32)), "12 outputs for 11 inputs"),
        (changed(decoder__2__bias=np.ones(3, np.float32)), "layer 2"),
        (changed(decoder__2__weight=np.ones((16, 12, 1), np.float32)), "layer 2"),
        (changed(decoder__0__weight=np.full((12, 3), np.nan, np.float32)), "finite numbers"),
        (changed(decoder__2__weight=None, decoder__2__bias=None), "layers"),
        (changed(decoder__2__bias=None), "layer 2"),
        (changed(decoder__1__running_mean=np.zeros(12, np.float32)), "ReLU"),
        (saved({"encoder.0.weight": torch.ones(3, 4)}), "no linear head"),
        (saved(_Trap()), "no readable"),
    ],
)
def test_what_is_no_decoder_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        decoder_from_bytes("best_ckpt.pth", data)


def test_selecting_through_the_decoder(file: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same whatever the blocks; rows without features are never chosen."""
    latents = features_of(decode(file))
    unit = MODEL.decode(latents)
    empty = ~latents.any(axis=1)
    vector = unit[7] * 3
    nearness = unit @ unit[7]
    threshold = float(nearness[empty].min()) - 0.02
    assert empty.sum() == 15 and (nearness[~empty] < threshold).any()
    for block in (1 << 20, 7 * OUTPUTS):
        monkeypatch.setattr(similar, "_BLOCK_VALUES", block)
        term = Similar(vector.astype(np.float32), threshold)
        mask = select(file, Selection((term,))).mask
        near = np.abs(nearness - threshold) < 1e-5
        assert (mask == ((nearness >= threshold) & ~empty))[~near].all() and mask[7]


def test_relevancy_is_against_the_nearest_negative(file: bytes, tmp_path: Path) -> None:
    latents = features_of(decode(file))
    unit = MODEL.decode(latents)
    vectors = unit[[7, 23, 77]].astype(np.float32)
    np.save(tmp_path / "v.npy", vectors[0])
    np.save(tmp_path / "n.npy", vectors[1:])
    cosines = unit @ vectors.T
    shares = [1 / (1 + np.exp(10 * (cosines[:, k] - cosines[:, 0]))) for k in (1, 2)]
    wanted = np.minimum(*shares)
    for threshold in (None, 0.6):
        term = vector_term(str(tmp_path / "v.npy"), threshold, tmp_path / "n.npy")
        found = select(file, Selection((term,)))
        assert found.notes[0].startswith("relevancy at")
        least = threshold or 0.5
        clear = np.abs(wanted - least) > 1e-4
        expected = (wanted >= least) & latents.any(axis=1)
        assert (found.mask == expected)[clear].all() and 0 < found.count < 150
    np.save(tmp_path / "n.npy", np.ones((2, 5)))
    with pytest.raises(UsageError, match="5 numbers, not 40"):
        vector_term(str(tmp_path / "v.npy"), None, tmp_path / "n.npy")


def test_which_decoder_is_taken(file: bytes, tmp_path: Path) -> None:
    """The attached one that makes vectors of that width; a named one must."""
    vector = Selection((Similar(np.ones(OUTPUTS, np.float32), -1),))
    assert select(file, vector).mask.all()
    assert select(file, vector, head="best_ckpt.pth").mask.all()
    assert select(file, Selection((Similar(np.ones(4, np.float32), -1),))).mask.all()
    with pytest.raises(UsageError, match=r"40 numbers.*classifier\.npz makes of them \(4\)"):
        select(file, vector, head="classifier.npz")
    with pytest.raises(UsageError, match="no head fits"):
        select(file, Selection((Similar(np.ones(9, np.float32), -1),)))
    assert select(file, "class=0").mask.any()  # an autoencoder is no classifier


def test_rendered_latents_are_decoded() -> None:
    """Pixels are blended first and decoded afterwards, as LangSplat does."""
    gaussians: RenderGaussians = two_sheets()
    random = np.random.default_rng(1)
    features = random.normal(size=(gaussians.count, LATENT)).astype(np.float32)
    phrases = np.eye(OUTPUTS)[:5]
    decoder = decoder_from_bytes("a.pth", saved(MODEL.state_dict()))
    assert isinstance(decoder, Mlp)
    found = cosine_maps(gaussians, features, camera(), phrases, decoder)
    blended = render(gaussians, camera(), features)[2]
    assert blended is not None
    np.testing.assert_allclose(found, MODEL.decode(blended)[..., :5], atol=1e-5)
