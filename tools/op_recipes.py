"""Arguments for ops whose signature does not suggest any that work or that tell cases apart (used by op_samples.py)."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor


def t(*shape: int) -> Tensor:
    """A float tensor with values in (0.1, 0.9), where nearly every op is defined."""
    return torch.rand(shape, dtype=torch.float64) * 0.8 + 0.1


def i(*shape: int, high: int = 2) -> Tensor:
    return torch.randint(0, high, shape)


def b(*shape: int) -> Tensor:
    return (
        torch.arange(max(1, torch.Size(shape).numel())).remainder(2).eq(0)[: torch.Size(shape).numel()].reshape(shape)
    )


class Recipe(NamedTuple):
    """The arguments of one call."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def call(*args: Any, **kwargs: Any) -> Recipe:
    return Recipe(args, kwargs)


@cache
def recipes() -> dict[str, list[Recipe]]:
    """Arguments that no signature suggests."""
    torch.default_generator.manual_seed(0)
    x, v, s, index = t(3, 3), t(3), t(), i(3)
    image, volume = t(2, 2, 6, 6), t(2, 2, 6, 6, 6)
    return {
        "torch.einsum": [call("ij,jk->ik", x, t(3, 3)), call("ij->j", x), call("i,i->", v, t(3))],
        "torch.tensor": [
            call(s),
            call(v),
            call([1.0, 2.0]),
            call([1, 2]),
            call(1),
            call(2.5),
            call(True),
            call([[1], [2]]),
        ],
        "torch.as_tensor": [call(s), call(v), call([1.0, 2.0]), call([1, 2]), call(1), call(2.5)],
        "torch.asarray": [call(v), call([1.0, 2.0]), call([1, 2])],
        "torch.full": [
            call((2, 3), 1),
            call((2, 3), 0.5),
            call((), 1.5),
            call([3], True),
            call((2,), 1, dtype=torch.float32),
        ],
        "torch.arange": [call(3), call(3.0), call(0, 3), call(0, 3, 0.5), call(1, 4, 1)],
        "torch.from_numpy": [call(v.numpy()), call(x.numpy()), call(index.numpy())],
        "torch.unique": [
            call(z, **({"dim": d} if d is not None else {}), return_inverse=a, return_counts=c)
            for z, d in ((v, None), (x, None), (x, 0), (t(2, 3, 4), 1))
            for a in (False, True)
            for c in (False, True)
        ],
        "torch.lu": [call(x), call(x, get_infos=True)],
        "torch.where": [call(b(3, 3), x, t(3, 3)), call(b(3), v, 0.5), call(b(3), 0.5, v), call(b(3)), call(b(3, 3))],
        "torch.normal": [call(v, t(3)), call(v, 0.5), call(0.0, v), call(0.0, 1.0, (2, 3)), call(0.0, 1.0, (3,))],
        "torch.randint": [call(4, (2, 3)), call(1, 4, (2, 3)), call(4, (3,)), call(4, ())],
        "torch.view_as_complex": [call(t(3, 2))],
        "torch.view_as_real": [call(torch.complex(v, v))],
        "torch.sparse.mm": [call(t(3, 3).to_sparse(), t(3, 3))],
        "torch.sparse.addmm": [call(t(3, 3), t(3, 3).to_sparse(), t(3, 3))],
        "torch.sparse.softmax": [call(t(3, 3).to_sparse(), 0)],
        "torch.sparse.log_softmax": [call(t(3, 3).to_sparse(), 0)],
        "torch.broadcast_shapes": [call((3, 1), (1, 2))],
        "torch.bilinear": [call(t(3, 4), t(3, 5), t(2, 4, 5), t(2)), call(t(4), t(5), t(2, 4, 5))],
        "torch.cosine_embedding_loss": [call(x, t(3, 3), torch.tensor([1, -1, 1])), call(v, t(3), torch.tensor(1))],
        "torch.margin_ranking_loss": [call(v, t(3), torch.tensor([1, -1, 1])), call(v, t(3), torch.ones(3))],
        "torch.hinge_embedding_loss": [call(v, torch.tensor([1, -1, 1])), call(x, torch.ones(3))],
        "torch.nn.functional.margin_ranking_loss": [call(v, t(3), torch.tensor([1, -1, 1]))],
        "torch.nn.functional.hinge_embedding_loss": [call(v, torch.tensor([1, -1, 1]))],
        "torch.nn.functional.ctc_loss": [
            call(
                t(5, 2, 4).log_softmax(2), i(2, 3, high=3) + 1, torch.tensor([5, 5]), torch.tensor([3, 2]), reduction=r
            )
            for r in ("mean", "sum", "none")
        ],
        "torch.ctc_loss": [
            call(t(5, 2, 4).log_softmax(2), i(2, 3, high=3) + 1, torch.tensor([5, 5]), torch.tensor([3, 2]))
        ],
        "torch.nn.functional.conv2d": [
            call(image, t(3, 2, 3, 3), padding="same"),
            call(image, t(3, 2, 3, 3), t(3), padding="same"),
        ],
        "torch.conv2d": [call(image, t(3, 2, 3, 3), padding="same"), call(image, t(3, 2, 3, 3), t(3), padding="same")],
        "torch.conv3d": [
            call(volume, t(3, 2, 3, 3, 3), padding="same"),
            call(volume, t(3, 2, 3, 3, 3), t(3), padding="same"),
        ],
        "torch.nn.functional.conv3d": [call(volume, t(3, 2, 3, 3, 3), padding="same")],
        "torch.istft": [call(torch.complex(t(3, 5), t(3, 5)), 4, window=torch.ones(4))],
        "Tensor.istft": [call(torch.complex(t(3, 5), t(3, 5)), 4, window=torch.ones(4))],
        "torch.grid_sampler": [call(image, t(2, 3, 3, 2), 0, 0, False)],
        "torch.affine_grid_generator": [call(t(1, 2, 3), (1, 1, 3, 3), False)],
        "torch.imag": [call(torch.complex(v, v))],
        "Tensor.imag:": [call(torch.complex(v, v))],
        "Tensor.coalesce": [call(t(3, 3).to_sparse())],
        "Tensor.is_coalesced": [call(t(3, 3).to_sparse())],
        "Tensor.indices": [call(t(3, 3).to_sparse().coalesce())],
        "Tensor.values": [call(t(3, 3).to_sparse().coalesce())],
        "Tensor.as_subclass": [call(x, Tensor)],
        "Tensor.new_tensor": [call(x, [1.0, 2.0]), call(x, 1), call(x, t(3)), call(x, [[1, 2]])],
        "Tensor.index_put_": [call(x, (index,), t(3)), call(x, (index, 0), t())],
        "torch.index_put_": [call(x, (index,), t(3)), call(x, (index, 0), t())],
        "torch.addmv_": [call(v, x, t(3))],
        "torch.as_strided_": [call(x, (3,), (1,))],
        "torch.unsafe_split_with_sizes": [call(v, [1, 2])],
        "Tensor.unsafe_split_with_sizes": [call(v, [1, 2])],
        "torch.reshape": [call(x, (9,)), call(x.t(), (9,)), call(x.t(), (3, 3)), call(v, (3, 1))],
        "Tensor.reshape": [call(x, 9), call(x.t(), 9), call(x.t(), 3, 3), call(v, (3, 1))],
        "torch.flatten": [call(x), call(x.t()), call(v), call(s), call(image, 1), call(image, 1, 2)],
        "torch.tensor_split": [call(x, 2), call(x, (1, 2)), call(v, 3), call(x, 2, 1)],
        "Tensor.split": [call(v, 1), call(x, 2), call(x, [1, 2]), call(v, 3)],
        "torch.split": [call(v, 1), call(x, 2), call(x, [1, 2]), call(v, 3)],
        "torch.unravel_index": [call(index, (2, 2))],
        "torch.bucketize": [call(x, t(4).sort().values), call(0.5, t(4).sort().values)],
        "torch.cdist": [
            *(call(x, t(3, 3), p) for p in (1.0, 2.0, 3.0, float("inf"))),
            *(
                call(t(30, 2), t(30, 2), 2.0, mode)
                for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
            ),
            *(call(x, t(3, 3), 1.0, mode) for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")),
            call(t(2, 3, 4), t(2, 5, 4)),
        ],
        "torch.squeeze": [
            call(t(1, 3)),
            call(t(1, 3), 0),
            call(t(1, 3), 1),
            call(x),
            call(t(1, 1), (0, 1)),
            call(x, (0, 1)),
        ],
        "Tensor.tile": [call(v, 2), call(v, 2, 2), call(v, (2, 2)), call(x, 1, 2, 2)],
        "Tensor.repeat": [call(v, 2), call(v, 2, 2), call(v, (2, 2)), call(x, 1, 2, 2)],
        "Tensor.to": [
            call(v, torch.float64),
            call(v, torch.float32),
            call(v, torch.int64),
            call(v, torch.bool),
            call(v, torch.complex128),
            call(v, "cpu"),
            call(v, torch.device("cpu")),
            call(v, "cpu", torch.float32),
            call(v, "cpu", torch.int64),
            call(v, t(3)),
            call(v, t(3).float()),
            call(v, i(3)),
            call(v, other=i(3)),
            call(index, torch.int32),
            call(index, torch.int64),
            call(index, dtype=torch.int32),
            call(v, torch.float64, copy=True),
            call(x, device="cpu"),
            call(x, dtype=torch.float32),
            call(s, "cpu"),
        ],
        "Tensor.type": [
            call(v),
            call(v, torch.float32),
            call(v, torch.float64),
            call(v, torch.int64),
            call(v, "torch.LongTensor"),
            call(v, "torch.FloatTensor"),
        ],
        "Tensor.__getitem__": [
            call(x, 0),
            call(x, slice(0, 2)),
            call(x, (0, 1)),
            call(x, (slice(None), 0)),
            call(x, None),
            call(x, ...),
            call(x, index),
            call(x, b(3, 3)),
            call(x, [0, 1]),
            call(v, 0),
            call(v, slice(1, None)),
            call(t(2, 3, 4), 0),
            call(t(2, 3, 4), (0, slice(None), 1)),
            call(x, (index, 0)),
        ],
        "Tensor.__setitem__": [
            call(x, 0, 0.5),
            call(x, 0, t(3)),
            call(x, slice(0, 2), t(3)),
            call(x, index, t(3, 3)),
            call(x, b(3, 3), 0.0),
            call(x, (0, 1), t()),
        ],
        "Tensor.__contains__": [call(v, 0.5), call(v, t())],
        "Tensor.__index__": [call(torch.tensor(3))],
        "Tensor.__format__": [call(s, ".3f"), call(s, "")],
        "Tensor.item": [call(s), call(t(1))],
        "torch.kthvalue": [
            call(x, 1),
            call(x, 1, 0),
            call(x, 1, keepdim=True),
            call(v, 1),
            call(t(2, 3, 4), 2, 1, True),
        ],
        "torch.mode": [call(x), call(x, 0), call(x, keepdim=True), call(v), call(t(2, 3, 4), 1, True)],
        "Tensor.numpy": [call(v), call(x), call(index)],
        "Tensor.tolist": [call(v), call(x), call(s)],
        "Tensor.is_set_to": [call(v, t(3))],
        "Tensor.apply_": [call(v, abs)],
        "Tensor.map_": [call(v, t(3), max)],
        "Tensor.retain_grad": [call(v)],
        "Tensor.requires_grad_": [call(v), call(v, True)],
        "Tensor.random_": [call(v), call(v, 5), call(v, 1, 5)],
        "Tensor.unflatten": [call(t(6), 0, (2, 3)), call(t(2, 6), 1, (2, 3))],
        "torch.unflatten": [call(t(6), 0, (2, 3)), call(t(2, 6), 1, (2, 3))],
        "torch.nn.functional.embedding_bag": [
            call(i(2, 3), t(4, 5)),
            call(i(6), t(4, 5), torch.tensor([0, 3])),
            call(i(2, 3), t(4, 5), mode="sum", per_sample_weights=t(2, 3)),
            call(i(2, 3), t(4, 5), mode="max"),
        ],
        "torch.nn.functional.embedding": [call(i(3), t(4, 5)), call(i(2, 3), t(4, 5)), call(i(), t(4, 5))],
        "torch.nn.functional.fold": [call(t(1, 4, 9), (4, 4), (2, 2))],
        "torch.nn.functional.unfold": [call(image, (2, 2))],
        "torch.nn.functional.dropout1d": [call(t(2, 3, 4))],
        "torch.nn.functional.dropout3d": [call(volume)],
        "torch.nn.functional.affine_grid": [call(t(1, 2, 3), (1, 1, 3, 3))],
        "torch.nn.functional.batch_norm": [
            call(image, t(2), t(2), t(2), t(2), True),
            call(image, t(2), t(2), t(2), t(2)),
            call(t(3, 4), None, None, t(4), t(4), True),
            call(t(3, 4), t(4), t(4), training=True),
        ],
        "torch.nn.functional.instance_norm": [call(image), call(image, t(2), t(2), t(2), t(2))],
        "torch.nn.functional.cross_entropy": [
            call(t(3, 4), i(3)),
            call(t(3, 4), i(3), t(4)),
            call(t(3, 4), t(3, 4)),
            call(t(3, 4), t(3, 4), t(4)),
            call(t(3, 4), i(3), reduction="none"),
            call(t(3, 4), i(3), reduction="sum"),
            call(t(3, 4), i(3), label_smoothing=0.1),
            call(t(2, 4, 3), i(2, 3), reduction="none"),
            call(t(4), i()),
        ],
        "torch.nn.functional.linear_cross_entropy": [
            call(t(3, 4), t(5, 4), target, reduction=r, **extra)
            for target in (i(3, high=5), t(3, 5))
            for r in ("mean", "none", "sum")
            for extra in ({}, {"linear_bias": t(5)}, {"linear_bias": t(5), "weight": t(5)}, {"weight": t(5)})
        ],
        "torch.nn.functional.nll_loss": [
            call(t(3, 4), i(3)),
            call(t(3, 4), i(3), t(4)),
            call(t(3, 4), i(3), reduction="none"),
            call(t(3, 4), i(3), reduction="sum"),
        ],
        "torch.nn.functional.multi_head_attention_forward": [
            call(t(2, 1, 4), t(2, 1, 4), t(2, 1, 4), 4, 2, t(12, 4), t(12), None, None, False, 0.0, t(4, 4), t(4)),
            call(
                *(t(2, 1, 4), t(2, 1, 4), t(2, 1, 4), 4, 2, t(12, 4), t(12), None, None, False, 0.0, t(4, 4), t(4)),
                need_weights=False,
            ),
        ],
        "torch.nn.functional.gaussian_nll_loss": [call(v, t(3), t(3)), call(v, t(3), t(3), reduction="none")],
        "torch.nn.functional.grid_sample": [call(image, t(2, 3, 3, 2), align_corners=False)],
        "torch.nn.functional.triplet_margin_with_distance_loss": [
            call(x, t(3, 3), t(3, 3)),
            call(x, t(3, 3), t(3, 3), reduction="none"),
        ],
        "torch.nn.functional.max_unpool1d": [call(t(1, 1, 2), torch.tensor([[[1, 3]]]), 2)],
        "torch.nn.functional.max_unpool2d": [call(t(1, 1, 1, 1), torch.tensor([[[[1]]]]), 2)],
        "torch.nn.functional.max_unpool3d": [call(t(1, 1, 1, 1, 1), torch.tensor([[[[[1]]]]]), 2)],
        "torch.nn.functional.fractional_max_pool2d": [
            call(image, 2, output_size=(3, 3)),
            call(image, 2, output_size=(3, 3), return_indices=True),
        ],
        "torch.nn.functional.fractional_max_pool3d": [
            call(volume, 2, output_size=(3, 3, 3)),
            call(volume, 2, output_size=(3, 3, 3), return_indices=True),
        ],
        "torch.nn.functional.upsample": [call(image, scale_factor=2)],
        "torch.nn.functional.upsample_bilinear": [call(image, scale_factor=2)],
        "torch.nn.functional.upsample_nearest": [call(image, scale_factor=2)],
        "torch.nn.functional.interpolate": [
            call(image, scale_factor=2),
            call(image, size=(3, 3), mode="bilinear"),
            call(t(2, 2, 6), 3),
        ],
        "torch.nn.functional.pad": [
            call(v, (1, 1)),
            call(x, (1, 1)),
            call(x, (0, 0)),
            call(image, (1, 1, 1, 1), "reflect"),
        ],
        "torch.nn.functional.scaled_dot_product_attention": [call(t(1, 2, 3, 4), t(1, 2, 3, 4), t(1, 2, 3, 4))],
    }
