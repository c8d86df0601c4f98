"""
Writes one of torchvision's classifiers, untrained, as PyTorch's exporter writes networks that are to be trained:

    python3 export_torchvision.py NETWORK SIZE FILE
"""

import sys
import warnings

import torch

from networks import torchvision_classifier

name, size, file = sys.argv[1:]
warnings.filterwarnings("ignore")
torch.onnx.export(
    torchvision_classifier(name).train(False),
    torch.randn(2, 3, int(size), int(size)),
    file,
    opset_version=13,
    training=torch.onnx.TrainingMode.PRESERVE,
    do_constant_folding=False,
    dynamic_axes={"images": {0: "N"}},
    input_names=["images"],
    output_names=["logits"],
)
