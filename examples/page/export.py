"""Writes MobileNet v2 as full.onnx, with how it takes pictures and what its classes are called."""

import json

import onnx
import torch
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

weights = MobileNet_V2_Weights.DEFAULT
model = mobilenet_v2(weights=weights).eval()
torch.onnx.export(model, torch.zeros(1, 3, 224, 224), "full.onnx", input_names=["input"], output_names=["scores"])

# What Penni, and the compiled model, read: docs/formats.md.
network = onnx.load("full.onnx")
onnx.helper.set_model_props(network, {"penni.classNames": json.dumps(weights.meta["categories"])})
onnx.save(network, "full.onnx")
