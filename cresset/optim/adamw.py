"""AdamW: Adam whose weight decay is kept apart from the gradient."""

from __future__ import annotations

from cresset.optim.adam import Adam
from cresset.optim.optimizer import ParamsT


class AdamW(Adam):
    """`Adam` after p = p - lr * weight_decay * p. Loshchilov and Hutter (2017).

    Settings as `Adam`, with a `weight_decay` of 0.01 by default.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
