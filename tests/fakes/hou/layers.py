"""Image layers of COPs: buffers that begin with the bottom row, and are lost when reshaped."""

from typing import Any

from tests.fakes.hou.errors import OperationFailed
from tests.fakes.hou.parms import EnumValue
from tests.fakes.hou.state import main_thread


class imageLayerStorageType:
    Float16 = EnumValue("Float16")
    Float32 = EnumValue("Float32")
    Int32 = EnumValue("Int32")


class imageLayerBorder:
    Constant = EnumValue("Constant")
    Clamp = EnumValue("Clamp")


class imageLayerTypeInfo:
    Color = EnumValue("Color")
    Raw = EnumValue("Raw")


BYTES = {
    imageLayerStorageType.Float16: 2,
    imageLayerStorageType.Float32: 4,
    imageLayerStorageType.Int32: 4,
}


class Vector2:
    def __init__(self, values: tuple[float, float]) -> None:
        self._values = values

    def x(self) -> float:
        return self._values[0]

    def y(self) -> float:
        return self._values[1]


class BoundingRect:
    """In whole pixels; max is the first pixel beyond."""

    def __init__(self, xmin: float, ymin: float, xmax: float, ymax: float) -> None:
        self._ends = xmin, ymin, xmax, ymax

    def min(self) -> Vector2:
        return Vector2(self._ends[:2])

    def size(self) -> Vector2:
        xmin, ymin, xmax, ymax = self._ends
        return Vector2((xmax - xmin, ymax - ymin))


class ImageLayer:
    @main_thread
    def __init__(self) -> None:
        self._channels = 1
        self._storage = imageLayerStorageType.Float32
        self._border, self._info = imageLayerBorder.Constant, imageLayerTypeInfo.Raw
        self._data = self._display = (0, 0, 0, 0)
        self._scale: tuple[float, ...] = (1.0, 1.0)
        self._aspect = 1.0
        self._attributes: dict[str, Any] = {}
        self._buffer = b""
        self._constant = False

    def channelCount(self) -> int:
        return self._channels

    def setChannelCount(self, chan: int) -> None:
        assert 1 <= chan <= 4
        self._channels = chan
        self._lose()

    def storageType(self) -> EnumValue:
        return self._storage

    def setStorageType(self, storagetype: EnumValue) -> None:
        self._storage = storagetype
        self._lose()

    def border(self) -> EnumValue:
        return self._border

    def setBorder(self, storagetype: EnumValue) -> None:
        self._border = storagetype

    def typeInfo(self) -> EnumValue:
        return self._info

    def setTypeInfo(self, storagetype: EnumValue) -> None:
        self._info = storagetype

    def pixelScale(self) -> tuple[float, ...]:
        return self._scale

    def setPixelScale(self, scale: tuple[float, ...]) -> None:
        self._scale = scale

    def pixelAspectRatio(self) -> float:
        return self._aspect

    def setPixelAspectRatio(self, aspect: float) -> None:
        self._aspect = aspect

    def attributes(self) -> dict[str, Any]:
        return dict(self._attributes)

    def setAttributes(self, p: dict[str, Any]) -> None:
        self._attributes = dict(p)

    def dataWindow(self) -> BoundingRect:
        x, y, w, h = self._data
        return BoundingRect(x, y, x + w, y + h)

    def displayWindow(self) -> BoundingRect:
        x, y, w, h = self._display
        return BoundingRect(x, y, x + w, y + h)

    def setDataWindow(self, x: int, y: int, w: int, h: int) -> None:
        self._data = x, y, w, h
        self._lose()

    def setDisplayWindow(self, x: float, y: float, w: float, h: float) -> None:
        self._display = int(x), int(y), int(w), int(h)

    def bufferResolution(self) -> tuple[int, ...]:
        return int(self._data[2] / self._scale[0]), int(self._data[3] / self._scale[1])

    def isConstant(self) -> bool:
        return self._constant

    def makeConstant(self, val: tuple[float, ...]) -> None:
        self._constant = True

    def allBufferElements(
        self, storage: EnumValue = imageLayerStorageType.Float32, channels: int = 0
    ) -> bytes:
        assert storage is imageLayerStorageType.Float32
        assert channels in (0, self._channels)
        assert self._storage is storage, "the fake does not convert"
        return self._buffer

    def setAllBufferElements(self, values: bytes) -> None:
        width, height = self.bufferResolution()
        if len(values) != width * height * self._channels * BYTES[self._storage]:
            raise OperationFailed("Provided buffer incorrect size")
        self._buffer = values

    def _lose(self) -> None:
        width, height = self.bufferResolution()
        self._buffer = bytes(width * height * self._channels * BYTES[self._storage])
