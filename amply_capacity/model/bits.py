"""Sets of keys as bits, and the two instructions of the processor that Python has no word for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy import int64, uint64
from numpy.typing import NDArray

__all__ = ["clear_bit", "compiled", "next_bit", "prefetch", "set_bit"]

_Array = NDArray[Any]
_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile by numba: into its callers, and without counting references, which every call would cost."""
    options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False,
                               "forceinline": True}
    return njit(**options)(function)  # type: ignore[no-any-return]


@intrinsic  # type: ignore[untyped-decorator]
def _trailing_zeros(typing_context: Any, value: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), code


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(typing_context: Any, array: Any, row: Any) -> Any:
    """Ask for the first bytes of a row of a two-dimensional array of int32, which will be changed soon."""
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        columns = builder.extract_value(view.shape, 1)
        offset = builder.mul(builder.sext(arguments[1], ir.IntType(64)), columns)
        place = builder.bitcast(builder.gep(view.data, [offset]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, *[ir.IntType(32)] * 3])
        function = builder.module.declare_intrinsic("llvm.prefetch", (place.type,), kind)
        builder.call(function, [place, *(ir.Constant(ir.IntType(32), value) for value in (1, 3, 1))])
        return context.get_dummy_value()

    return types.none(array, types.int32), code


@compiled
def set_bit(bits: _Array, number: int) -> None:
    """Take a number into the set; it may be there."""
    bits[number >> 6] |= uint64(1) << uint64(number & 63)


@compiled
def clear_bit(bits: _Array, number: int) -> None:
    """Take a number out of the set."""
    bits[number >> 6] &= ~(uint64(1) << uint64(number & 63))


@compiled
def next_bit(bits: _Array, number: int) -> Any:
    """The least number of the set from `number` on; that of the last word's bits where there is none.

    The last word has to have its highest bit set: it is where the search ends.
    """
    place = number >> 6
    word = bits[place] & (~uint64(0) << uint64(number & 63))
    while word == 0:
        place += 1
        word = bits[place]
    return int64(place << 6) + int64(_trailing_zeros(word))
