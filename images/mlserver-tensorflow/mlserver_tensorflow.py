# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MLServer's part for TensorFlow: serves a SavedModel by the open inference protocol.

The model is a folder with saved_model.pb, which may lie one to three folders deep: TensorFlow Serving wants a version's number
above it, and MLflow a folder of its own.
"""

from __future__ import annotations

import asyncio
import os
import typing as t
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError, MLServerError
from mlserver.types import InferenceRequest, InferenceResponse, MetadataTensor
from mlserver.utils import get_model_uri

SIGNATURE = "serving_default"
# How deep the model may lie.
DEEPEST = 3
# By TensorFlow's name of a kind of number, the protocol's.
KINDS = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "int8": "INT8", "int16": "INT16",
    "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32", "float64": "FP64", "string": "BYTES",
}


def saved_model(folder: Path) -> Path:
    """Returns where saved_model.pb is; of several versions side by side the newest, by number.

    Raises:
        MLServerError: nowhere.
    """
    level = [folder]
    for _depth in range(DEEPEST + 1):
        found = [place for place in level if (place / "saved_model.pb").is_file()]
        if found:
            return max(found, key=lambda place: (int(place.name) if place.name.isdigit() else -1, place.name))
        level = [Path(entry.path) for place in level for entry in os.scandir(place) if entry.is_dir()]
    raise MLServerError(f"{folder} holds no saved_model.pb: save the model as a SavedModel (model.export(), tf.saved_model.save())")


def arranged(given: dict[str, np.ndarray], wanted: dict[str, t.Any]) -> dict[str, np.ndarray]:
    """Returns the arrays by the names of the model's inputs, in its kinds of numbers.

    Args:
        wanted: by name, what has ``dtype.as_numpy_dtype`` (TensorFlow's TensorSpec).

    Raises:
        InferenceError: an input is missing or unknown. A model with one input takes one by any name.
    """
    if len(given) == len(wanted) == 1 and set(given) != set(wanted):
        given = {next(iter(wanted)): next(iter(given.values()))}
    lost, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if lost or unknown:
        raise InferenceError(f"the model's inputs are {', '.join(sorted(wanted))}; missing: {', '.join(lost) or 'none'}; "
                             f"unknown: {', '.join(unknown) or 'none'}")
    return {name: array if wanted[name].dtype.name == "string" else array.astype(wanted[name].dtype.as_numpy_dtype, copy=False)
            for name, array in given.items()}


class TensorFlowModel(MLModel):
    """A SavedModel's default signature."""

    async def load(self) -> bool:
        """Loads the model; tells MLServer its inputs and outputs."""
        # Here, so that the rest can be tested without it.
        import tensorflow

        self._tensorflow = tensorflow
        place = saved_model(Path(await get_model_uri(self._settings)))
        self._loaded = tensorflow.saved_model.load(str(place))
        signatures = self._loaded.signatures
        if SIGNATURE not in signatures:
            raise MLServerError(f"{place} has no signature {SIGNATURE}, only: {', '.join(signatures) or 'none'}")
        self._function = signatures[SIGNATURE]
        self._wanted = self._function.structured_input_signature[1]
        self.inputs = [_described(name, spec) for name, spec in self._wanted.items()]
        self.outputs = [_described(name, spec) for name, spec in self._function.structured_outputs.items()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Predicts; the processor works in a thread, so that the server goes on answering."""
        given = {entry.name: np.asarray(self.decode(entry, default_codec=NumpyCodec)) for entry in payload.inputs}
        found = await asyncio.get_running_loop().run_in_executor(None, self._call, arranged(given, self._wanted))
        return InferenceResponse(
            model_name=self.name, model_version=self.version, id=payload.id,
            outputs=[self.encode(array, _tensor(name), default_codec=NumpyCodec) for name, array in found.items()])

    def _call(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        constant = self._tensorflow.constant
        try:
            result = self._function(**{name: constant(array) for name, array in arrays.items()})
        except (ValueError, TypeError, self._tensorflow.errors.InvalidArgumentError) as error:
            raise InferenceError(str(error).splitlines()[0]) from error
        return {name: value.numpy() for name, value in result.items()}


def _described(name: str, spec: t.Any) -> MetadataTensor:
    shape = [-1 if size is None else int(size) for size in (spec.shape.as_list() if spec.shape.rank is not None else [])]
    return MetadataTensor(name=name, datatype=KINDS.get(spec.dtype.name, "FP32"), shape=shape or [-1])


def _tensor(name: str) -> MetadataTensor:
    # Only the name counts here: kind and shape come from the array.
    return MetadataTensor(name=name, datatype="FP32", shape=[-1])
