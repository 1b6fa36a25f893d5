"""MultiheadAttention."""

from __future__ import annotations

import math
from typing import Any

import cresset
from cresset import Tensor
from cresset.nn import functional as F
from cresset.nn import init
from cresset.nn.module import Module
from cresset.nn.modules.linear import Linear
from cresset.nn.parameter import Parameter


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(head_dim)) v for each head, then `out_proj`. Vaswani and others (2017).

    q, k and v are projections of `query` (L, N, embed_dim), `key` (S, N, kdim) and `value` (S, N,
    vdim), with `batch_first` the batch N first, or without it. Result: the output, shaped as the
    query, and the weights (N, L, S), averaged over the heads unless told otherwise, or None without
    `need_weights`, which is faster. Masks: `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N *
    heads, L, S); True means not to look there, numbers are added to the scores. Raises ValueError
    for sizes that are not positive, AssertionError unless the heads divide embed_dim.

    >>> x = cresset.zeros(5, 2, 8)
    >>> output, weights = MultiheadAttention(8, 2)(x, x, x)
    >>> output.shape, weights.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))
    """

    in_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and "
                f"num_heads={num_heads} instead"
            )
        if embed_dim % num_heads != 0:
            raise AssertionError(
                "MultiheadAttention: embed_dim must be divisible by num_heads; got "
                f"{embed_dim} and {num_heads}; each head takes an equal share of it"
            )
        super().__init__()
        place = {"device": device, "dtype": dtype}
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            self.register_parameter(name, None)
        if self.kdim == embed_dim and self.vdim == embed_dim:
            self.in_proj_weight = Parameter(cresset.empty((3 * embed_dim, embed_dim), **place))
        else:
            self.q_proj_weight = Parameter(cresset.empty((embed_dim, embed_dim), **place))
            self.k_proj_weight = Parameter(cresset.empty((embed_dim, self.kdim), **place))
            self.v_proj_weight = Parameter(cresset.empty((embed_dim, self.vdim), **place))
        self.register_parameter("in_proj_bias", None)
        if bias:
            self.in_proj_bias = Parameter(cresset.empty(3 * embed_dim, **place))
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **place)
        self.register_parameter("bias_k", None)
        self.register_parameter("bias_v", None)
        if add_bias_kv:
            self.bias_k = Parameter(cresset.empty((1, 1, embed_dim), **place))
            self.bias_v = Parameter(cresset.empty((1, 1, embed_dim), **place))
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in self._input_weights():
            init.xavier_uniform_(weight)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def _input_weights(self) -> list[Any]:
        """The one weight of q, k and v together, or the three apart."""
        if self.in_proj_weight is not None:
            return [self.in_proj_weight]
        return [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output and the weights; see the class."""
        if query.dim() not in (2, 3) or not query.dim() == key.dim() == value.dim():
            raise AssertionError(
                f"MultiheadAttention: query, key and value have {query.dim()}, {key.dim()} and "
                f"{value.dim()} dims; need 3 each, or 2 each without a batch"
            )
        if query.shape[-1] != self.embed_dim:
            raise AssertionError(
                f"MultiheadAttention: was expecting embedding dimension of {self.embed_dim}, but "
                f"got {query.shape[-1]}; features are the last dim of shape {tuple(query.shape)}"
            )
        if is_causal and attn_mask is None:
            raise RuntimeError(
                "MultiheadAttention: Need attn_mask if specifying the is_causal hint; got None; "
                "nn.Transformer.generate_square_subsequent_mask(length) makes one"
            )
        batched = query.dim() == 3
        batch_dim = 0 if batched and self.batch_first else 1
        q, k, v = self._project(query, key, value)
        if not batched:
            q, k, v = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)
        q, k, v = (self._split_heads(tensor, batch_dim) for tensor in (q, k, v))
        k, v, extra = self._extend(k, v)
        mask = self._mask(q, k, key_padding_mask, attn_mask, extra)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = (q * (1 / math.sqrt(self.head_dim))) @ k.transpose(-2, -1)
            if mask is not None:
                scores = scores + mask
            weights = F.softmax(scores, -1)
            if dropout:
                weights = F.dropout(weights, dropout)
            output = weights @ v
            if average_attn_weights:
                weights = weights.mean(1)
        elif is_causal and key_padding_mask is None and not extra:
            output = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        else:
            output = F.scaled_dot_product_attention(q, k, v, mask, dropout)
        # (batch, heads, length, head_dim) back to (length, batch, embed_dim), or the batch first.
        order = (2, 0, 1, 3) if batch_dim == 1 else (0, 2, 1, 3)
        output = output.permute(*order).flatten(2)
        output = self.out_proj(output)
        if batched:
            return output, weights
        return output.squeeze(1), None if weights is None else weights.squeeze(0)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> Any:
        bias = self.in_proj_bias
        if self.in_proj_weight is not None and query is key and key is value:
            return F.linear(query, self.in_proj_weight, bias).chunk(3, -1)
        weights = self._input_weights()
        if len(weights) == 1:
            weights = weights[0].chunk(3)
        biases = (None, None, None) if bias is None else bias.chunk(3)
        return [
            F.linear(tensor, weight, part)
            for tensor, weight, part in zip((query, key, value), weights, biases)
        ]

    def _split_heads(self, tensor: Tensor, batch_dim: int) -> Tensor:
        """To (batch, heads, length, head_dim)."""
        heads = tensor.reshape(*tensor.shape[:2], self.num_heads, self.head_dim)
        return heads.permute(*((1, 2, 0, 3) if batch_dim == 1 else (0, 2, 1, 3)))

    def _extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, int]:
        """Keys and values with the learnt pair and the pair of zeros, and how many were added."""
        extra = 0
        shape = (k.shape[0], self.num_heads, 1, self.head_dim)
        if self.bias_k is not None and self.bias_v is not None:
            learnt = (1, self.num_heads, 1, self.head_dim)
            k = cresset.cat([k, self.bias_k.view(learnt).expand(shape)], 2)
            v = cresset.cat([v, self.bias_v.view(learnt).expand(shape)], 2)
            extra += 1
        if self.add_zero_attn:
            zeros = cresset.zeros(shape, dtype=k.dtype, device=k.device)
            k = cresset.cat([k, zeros], 2)
            v = cresset.cat([v, zeros], 2)
            extra += 1
        return k, v, extra

    def _mask(
        self,
        q: Tensor,
        k: Tensor,
        key_padding_mask: Tensor | None,
        attn_mask: Tensor | None,
        extra: int,
    ) -> Tensor | None:
        """Both masks as one that is added to scores of shape (batch, heads, L, S)."""
        batch, heads, length, _ = q.shape
        source = k.shape[2] - extra
        mask = None
        if attn_mask is not None:
            mask = _as_scores(attn_mask, q)
            if mask.dim() == 3:
                mask = mask.view(batch, heads, length, source)
            elif tuple(mask.shape) != (length, source):
                raise RuntimeError(
                    f"MultiheadAttention: attn_mask has shape {tuple(attn_mask.shape)}; need "
                    f"{(length, source)} or {(batch * heads, length, source)}"
                )
        if key_padding_mask is not None:
            padding = _as_scores(key_padding_mask, q).reshape(-1, 1, 1, source)
            mask = padding if mask is None else mask + padding
        return mask if mask is None or not extra else F.pad(mask, (0, extra))


def _as_scores(mask: Tensor, like: Tensor) -> Tensor:
    """Zeros with minus infinity where a mask of bools is True; a mask of numbers as it is."""
    if mask.dtype is not cresset.bool:
        return mask
    zeros = cresset.zeros(mask.shape, dtype=like.dtype, device=like.device)
    return zeros.masked_fill(mask, -math.inf)
