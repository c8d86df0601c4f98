"""
Exports torchvision's architectures with random weights for `bench/zoo.ts`.

    python3 zoo.py DIR [NETWORK ...]

For every network DIR/NETWORK/ receives VARIANT.onnx files, `input.f32` and `output.f32` (raw float32 of a batch of
BATCH and the first output in evaluation mode), and for classifiers `labels.json` and `gradients-MODE.json` with
`gradients-MODE.f32`: the loss of one step (cross-entropy) and the gradients of all parameters, MODE being "frozen"
(running statistics) or "batch" (batch statistics). `about.json` says what there is. What the exporter refuses is
listed there with its message.
"""

import copy
import json
import pathlib
import sys
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torch.onnx import TrainingMode
from torchvision import models

warnings.filterwarnings("ignore")

BATCH = 4
CLASSES = 10

# Torch keyword arguments of each variant; "bn" keeps BatchNormalization as nodes, "folded" is the default export.
VARIANTS = {
    "bn13": dict(opset_version=13, training=TrainingMode.PRESERVE),
    "folded13": dict(opset_version=13, training=TrainingMode.EVAL),
    "bn11": dict(opset_version=11, training=TrainingMode.PRESERVE, keep_initializers_as_inputs=True),
    "unfolded16": dict(opset_version=16, training=TrainingMode.PRESERVE, do_constant_folding=False),
    "bn9": dict(opset_version=9, training=TrainingMode.PRESERVE),
}


class First(nn.Module):
    """The dictionary entry `out` of torchvision's segmentation networks."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)["out"]


class DetectorHeads(nn.Module):
    """Scores and boxes of all anchors, before anything is selected: what is exported for other runtimes."""

    def __init__(self, model, softmax):
        super().__init__()
        self.backbone, self.head, self.softmax = model.backbone, model.head, softmax

    def forward(self, x):
        features = list(self.backbone(x).values())
        heads = self.head(features)
        logits = heads["cls_logits"]
        return (logits.softmax(-1) if self.softmax else logits.sigmoid()), heads["bbox_regression"]


class WholeDetector(nn.Module):
    """One image in; boxes, scores and labels out, after non-maximum suppression."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        found = self.model(list(x))[0]
        return found["boxes"], found["scores"], found["labels"]


def conv_unit(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) with padding; the decoder enlarges in one of three ways."""

    def __init__(self, up):
        super().__init__()
        self.up = up
        widths = [8, 16, 32, 64]
        self.pool = nn.MaxPool2d(2)
        self.encoder = nn.ModuleList(
            nn.Sequential(conv_unit(i, o), conv_unit(o, o)) for i, o in zip([3] + widths, widths)
        )
        pairs = list(zip(widths[::-1], widths[-2::-1]))
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(i, o, 2, stride=2) if up == "transpose" else conv_unit(i, o) for i, o in pairs
        )
        self.decoder = nn.ModuleList(nn.Sequential(conv_unit(2 * o, o), conv_unit(o, o)) for _, o in pairs)
        self.last = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x):
        skips = []
        for index, block in enumerate(self.encoder):
            x = block(x if index == 0 else self.pool(x))
            skips.append(x)
        for skip, enlarge, decode in zip(skips[-2::-1], self.enlarge, self.decoder):
            if self.up == "nearest":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            if self.up == "bilinear":
                x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=True)
            x = enlarge(x)
            dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            x = decode(torch.cat([skip, x], dim=1))
        return self.last(x)


def classifier(name, **options):
    return lambda: getattr(models, name)(weights=None, num_classes=CLASSES, **options)


def narrow_vgg(name):
    def build():
        model = classifier(name)()
        model.classifier = nn.Sequential(nn.Linear(512 * 49, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, CLASSES))
        return model

    return build


def segmentation(name):
    build = getattr(models.segmentation, name)
    return lambda: First(build(weights=None, weights_backbone=None, num_classes=5))


def detector(name, **options):
    build = getattr(models.detection, name)
    return lambda: build(weights=None, weights_backbone=None, num_classes=6, **options)


def small_vit():
    return models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=CLASSES
    )


def small_swin():
    return models.SwinTransformer(
        patch_size=[4, 4], embed_dim=32, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=CLASSES
    )


# Builder and size of the square input image.
CLASSIFIERS = {
    "alexnet": (classifier("alexnet"), 224),
    "vgg11": (narrow_vgg("vgg11"), 224),
    "vgg11_bn": (narrow_vgg("vgg11_bn"), 224),
    "resnet18": (classifier("resnet18"), 64),
    "resnet50": (classifier("resnet50"), 64),
    "resnext50_32x4d": (classifier("resnext50_32x4d"), 64),
    "wide_resnet50_2": (classifier("wide_resnet50_2"), 64),
    "squeezenet1_0": (classifier("squeezenet1_0"), 64),
    "squeezenet1_1": (classifier("squeezenet1_1"), 64),
    "densenet121": (classifier("densenet121"), 64),
    "googlenet": (classifier("googlenet", aux_logits=False, transform_input=True, init_weights=False), 75),
    "inception_v3": (classifier("inception_v3", aux_logits=False, transform_input=True, init_weights=False), 107),
    "shufflenet_v2_x0_5": (classifier("shufflenet_v2_x0_5"), 64),
    "mobilenet_v2": (classifier("mobilenet_v2"), 64),
    "mobilenet_v3_small": (classifier("mobilenet_v3_small"), 64),
    "mobilenet_v3_large": (classifier("mobilenet_v3_large"), 64),
    "mnasnet0_5": (classifier("mnasnet0_5"), 64),
    "efficientnet_b0": (classifier("efficientnet_b0"), 64),
    "efficientnet_v2_s": (classifier("efficientnet_v2_s"), 64),
    "regnet_x_400mf": (classifier("regnet_x_400mf"), 64),
    "regnet_y_400mf": (classifier("regnet_y_400mf"), 64),
    "convnext_tiny": (classifier("convnext_tiny"), 64),
    "vit": (small_vit, 32),
    "swin": (small_swin, 64),
}

OTHERS = {
    "unet_transpose": (lambda: UNet("transpose"), 48),
    "unet_nearest": (lambda: UNet("nearest"), 48),
    "unet_bilinear": (lambda: UNet("bilinear"), 52),
    "fcn_resnet50": (segmentation("fcn_resnet50"), 65),
    "deeplabv3_mobilenet_v3_large": (segmentation("deeplabv3_mobilenet_v3_large"), 65),
    "lraspp_mobilenet_v3_large": (segmentation("lraspp_mobilenet_v3_large"), 65),
    "ssdlite_heads": (lambda: DetectorHeads(detector("ssdlite320_mobilenet_v3_large")(), True), 320),
    "ssd300_heads": (lambda: DetectorHeads(detector("ssd300_vgg16")(), True), 300),
    "retinanet_heads": (lambda: DetectorHeads(detector("retinanet_resnet50_fpn")(), False), 64),
}

# Exported for one image, with everything torchvision does after the heads.
WHOLE = {
    "ssdlite_whole": (lambda: WholeDetector(detector("ssdlite320_mobilenet_v3_large")()), 320),
    "fasterrcnn_whole": (lambda: WholeDetector(detector("fasterrcnn_mobilenet_v3_large_320_fpn")()), 320),
}


def randomize(model, images):
    """Scales and shifts of normalizations at random, and running statistics that fit them."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            module.momentum = 1.0
        if isinstance(module, torchvision.models.convnext.CNBlock):
            nn.init.uniform_(module.layer_scale, 0.2, 1.0)
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, torchvision.ops.StochasticDepth):
            module.p = 0.0
    model.train()
    with torch.no_grad():
        model(images)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.1


def export(model, images, folder, dynamic):
    refused = {}
    for variant, options in VARIANTS.items():
        model.eval()
        axes = {"input": {0: "batch"}, "output": {0: "batch"}} if dynamic else None
        try:
            torch.onnx.export(
                model,
                images,
                str(folder / f"{variant}.onnx"),
                input_names=["input"],
                output_names=["output"],
                dynamic_axes=axes,
                **options,
            )
        except Exception as error:
            refused[variant] = str(error).strip().splitlines()[0][:200]
    return refused


def write(path, tensors):
    with open(path, "wb") as file:
        for tensor in tensors:
            file.write(tensor.detach().contiguous().numpy().astype("<f4").tobytes())


def gradients(model, images, labels, folder, mode):
    model.train(mode == "batch")
    model.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    named = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    write(folder / f"gradients-{mode}.f32", [gradient for _, gradient in named])
    about = {"loss": loss.item(), "parameters": [[name, list(gradient.shape)] for name, gradient in named]}
    (folder / f"gradients-{mode}.json").write_text(json.dumps(about))


def make(root, name):
    kind = "classifier" if name in CLASSIFIERS else "whole" if name in WHOLE else "other"
    build, size = {"classifier": CLASSIFIERS, "other": OTHERS, "whole": WHOLE}[kind][name]
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    model = build()
    images = torch.randn(1 if kind == "whole" else BATCH, 3, size, size)
    if kind != "whole":
        randomize(model, images)
    model.eval()
    write(folder / "input.f32", [images])
    with torch.no_grad():
        found = model(images)
    write(folder / "output.f32", [found if torch.is_tensor(found) else found[0]])
    if kind == "classifier":
        labels = torch.arange(BATCH) % CLASSES
        (folder / "labels.json").write_text(json.dumps(labels.tolist()))
        # Running statistics move in the "batch" step, so it comes last and on a copy.
        state = copy.deepcopy(model.state_dict())
        for mode in ("frozen", "batch"):
            gradients(model, images, labels, folder, mode)
        model.load_state_dict(state)
    refused = export(model, images, folder, dynamic=kind != "whole")
    about = {"kind": kind, "input": list(images.shape), "refused": refused}
    (folder / "about.json").write_text(json.dumps(about))
    print(name, json.dumps(refused), flush=True)


def main():
    root, *wanted = sys.argv[1:]
    torch.set_num_threads(1)
    for name in wanted or [*CLASSIFIERS, *OTHERS, *WHOLE]:
        make(pathlib.Path(root), name)


main()
