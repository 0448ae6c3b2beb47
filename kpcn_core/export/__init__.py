"""The network in the formats of other programs: TorchScript for Nuke, ONNX for Houdini."""
