"""A GPU that is none: numbers on the CPU whose tensors say, and insist, that they are elsewhere.

`Pretence` is a dispatch mode. What is made on "cuda:0" or moved there within it is a `Pretended`
tensor around an ordinary one: it computes, gradients and all, but refuses to meet a tensor that
was left on the CPU, and to become an array. So a machine without a GPU finds what would only fail
on one, and can compare the numbers. What it cannot find are a GPU's own round-off and its speed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
# what may take tensors of both devices, as on a real one
CROSSING = ("copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_")


class Pretended(Tensor):
    """A tensor that says it is on `GPU`; C++ takes it for one of meta, which has no numbers."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        self = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device("meta"),
        )
        self.held = held
        return self

    @property
    def device(self) -> torch.device:
        return GPU

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert {GPU} device type tensor to numpy")

    def tolist(self) -> Any:
        return _held(self.detach()).tolist()

    def new_tensor(self, data: Any, dtype: torch.dtype | None = None, **_: Any) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=GPU)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func is Tensor.to and len(args) == 2 and isinstance(args[1], Pretended):
                return args[0].to(device=GPU, dtype=args[1].dtype)
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class Pretence(TorchDispatchMode):
    """Within it there is a GPU, as far as tensors are concerned."""

    def __init__(self) -> None:
        super().__init__()
        # the one kind of mode in which torch asks no driver for a device
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE

    @classmethod
    def is_infra_mode(cls) -> bool:
        return True

    def __enter__(self) -> Pretence:
        self.lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch._C._set_only_lift_cpu_tensors(self.lifted)
        super().__exit__(*error)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation on what is held; RuntimeError where tensors of both devices meet."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    here = [x for x in tensors if isinstance(x, Pretended)]
    name, asked = func._schema.name.removeprefix("aten::"), kwargs.get("device")
    left = [x for x in tensors if not isinstance(x, Pretended) and x.ndim]
    if here and left and name not in CROSSING:
        raise RuntimeError(
            f"expected all tensors on the same device, found {GPU} and cpu in {name} of "
            f"{[tuple(x.shape) for x in tensors]}"
        )
    if asked is not None:
        onto = torch.device(asked).type in ("cuda", "meta")
        kwargs = {**kwargs, "device": torch.device("cpu")}
    else:
        onto = isinstance(args[0], Pretended) if name == "copy_" else bool(here)
    if name == "_conj":  # whose bit would be lost on the way
        func = torch.ops.aten.conj_physical.default
    own = {id(x.held): x for x in here}  # what is written in place stays what it is
    out = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if not onto:
        return out

    def wrapped(x: Any) -> Any:
        return x if not isinstance(x, Tensor) else own[id(x)] if id(x) in own else Pretended(x)

    return tree_map(wrapped, out)


def _held(x: Any) -> Any:
    return x.held if isinstance(x, Pretended) else x
