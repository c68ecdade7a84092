"""Heads are read from every container that projects use, and never by running pickles."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from csgs_codec.errors import LimitError, UsageError
from csgs_codec.limits import Limits
from csgs_codec.semantics import heads
from csgs_codec.semantics.heads import head_from_bytes, read_head

WEIGHT = np.array([[1.0, 0.0], [0.0, 2.0], [-1.0, -1.0]], np.float32)
BIAS = np.array([0.0, 0.5, 0.0], np.float32)


def _npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def test_npz_gives_labels_and_margins() -> None:
    head = head_from_bytes("a.npz", _npz(weight=WEIGHT, bias=BIAS, classes=np.array(list("xyz"))))
    features = np.array([[3.0, 0.0], [0.0, 1.0], [-2.0, -2.0]])
    assert head.labels(features).tolist() == [0, 1, 2]
    assert head.margins(features)[0] == pytest.approx(2.5)
    assert head.names == ("x", "y", "z")


def test_convolution_of_a_state_dictionary() -> None:
    torch = pytest.importorskip("torch")
    stream = io.BytesIO()
    state = {"weight": torch.tensor(WEIGHT)[:, :, None, None], "bias": torch.tensor(BIAS)}
    torch.save(state, stream)
    head = head_from_bytes("classifier.pth", stream.getvalue())
    np.testing.assert_array_equal(head.weight, WEIGHT)


def test_safetensors() -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    head = head_from_bytes("h.safetensors", safetensors.save({"weight": WEIGHT, "bias": BIAS}))
    np.testing.assert_array_equal(head.bias, BIAS)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was run')",)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.npz", b"not a zip"),
        ("a.pth", pickle.dumps(_Trap())),
        ("a.npz", _npz(other=WEIGHT)),
        ("a.npz", _npz(weight=WEIGHT, bias=BIAS[:2])),
        ("a.txt", b""),
    ],
)
def test_what_is_no_head_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(UsageError):
        head_from_bytes(name, data)


def test_errors_name_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "head.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(UsageError, match=r"head\.npz"):
        read_head(path)


def test_a_bomb_is_refused_before_it_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, weight=np.zeros((1000, 1000)), bias=np.zeros(1000))
    assert len(stream.getvalue()) < 20_000
    assert head_from_bytes("a.npz", stream.getvalue()).classes == 1000
    monkeypatch.setattr(heads, "DEFAULT_LIMITS", Limits(attached_bytes=1 << 20))
    with pytest.raises(LimitError):
        head_from_bytes("a.npz", stream.getvalue())
