"""Which functions outside torch turn their arguments into numpy arrays.

Observed with torch 2.13 and numpy 2: whatever calls `numpy.asarray(t)` ends in `Tensor.__array__`, which raises for a
tensor that requires grad while grad mode is on.
"""

from __future__ import annotations

ARRAY_LIBRARIES = frozenset({"numpy", "matplotlib", "sklearn", "pandas", "scipy", "seaborn", "cv2", "PIL", "skimage"})
"""Libraries whose functions work on numpy arrays."""

HARMLESS = frozenset(
    {"tqdm", "wandb", "tensorboard", "loguru", "rich", "absl", "yaml", "termcolor", "mlflow", "einops"}
)
"""Libraries that neither change what they are given nor switch gradients."""

SCALAR_TYPES = frozenset(
    {
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "bool_",
        "longdouble",
        "complex64",
        "complex128",
    }
)
CREATING = frozenset(
    {
        "array",
        "asarray",
        "ascontiguousarray",
        "zeros",
        "ones",
        "empty",
        "full",
        "eye",
        "identity",
        "arange",
        "linspace",
        "logspace",
        "stack",
        "vstack",
        "hstack",
        "concatenate",
        "diag",
        "outer",
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "tile",
        "pad",
        "append",
        "column_stack",
        "dstack",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "loadtxt",
        "genfromtxt",
        "fromiter",
        "frombuffer",
    }
)
"""numpy functions whose result is an array whatever they are given, never a numpy scalar."""

NOT_CONVERTING = frozenset(
    {
        "numpy.random.seed",
        "numpy.random.default_rng",
        "numpy.random.RandomState",
        "numpy.random.rand",
        "numpy.random.randn",
        "numpy.random.randint",
        "numpy.random.permutation",
        "numpy.set_printoptions",
        "numpy.dtype",
        "numpy.isscalar",
        "numpy.shape",
        "numpy.ndim",
        "numpy.size",
        "numpy.iterable",
        "numpy.load",
        "numpy.zeros",
        "numpy.ones",
        "numpy.empty",
        "numpy.arange",
        "numpy.eye",
        "numpy.finfo",
        "numpy.iinfo",
        "numpy.errstate",
        "numpy.float64",
        "numpy.float32",
        "numpy.vectorize",
        "numpy.squeeze",
        "numpy.expand_dims_",
    }
)
"""numpy functions that do not, or that do something else with a tensor."""

PLOTTING = frozenset(
    {
        "plot",
        "scatter",
        "hist",
        "bar",
        "barh",
        "imshow",
        "semilogy",
        "semilogx",
        "loglog",
        "fill_between",
        "errorbar",
        "contour",
        "contourf",
        "quiver",
        "step",
        "stem",
        "boxplot",
        "violinplot",
        "pcolormesh",
        "matshow",
        "plot_surface",
    }
)
"""matplotlib functions and Axes methods that draw data."""


def converts(name: str) -> bool:
    """Does the function of that qualified name make arrays of its arguments?"""
    root, _, rest = name.partition(".")
    last = rest.rpartition(".")[2]
    if root == "numpy":
        return name not in NOT_CONVERTING and last[:1].islower()
    if root == "matplotlib":
        return last in PLOTTING
    if root == "sklearn":
        return ".metrics." in name or last in ("fit", "predict", "transform", "fit_transform", "score")
    if root == "scipy":
        return last[:1].islower()
    return False
