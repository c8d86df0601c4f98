"""The paper's networks in their CIFAR-10 form, as in bench/networks.ts, and their decomposed form."""

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 10


class Block(nn.Module):
    """Residual block; where it changes the shape, the shortcut is "pad" (option A) or "projection" (1x1)."""

    def __init__(self, inputs, outputs, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.pad = (outputs - inputs) // 2
        changes = stride != 1 or inputs != outputs
        self.projection = None
        if changes and shortcut == "projection":
            self.projection = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + self.shortcut(x))

    def shortcut(self, x):
        if self.projection is not None:
            return self.projection(x)
        if self.pad == 0:
            return x
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))


class ResNet(nn.Module):
    def __init__(self, blocks, widths, shortcut):
        super().__init__()
        channels = widths[0]
        self.conv = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        layers = []
        for stage, (count, width) in enumerate(zip(blocks, widths)):
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(Block(channels, width, stride, shortcut))
                channels = width
        self.blocks = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, CLASSES)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.classifier(x.mean((2, 3)))


def vgg16():
    plan = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"]
    layers = []
    channels = 3
    for layer in plan:
        if layer == "pool":
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(channels, layer, 3, 1, 1), nn.BatchNorm2d(layer), nn.ReLU(inplace=True)]
        channels = layer
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels, CLASSES))


NETWORKS = {
    "resnet20": lambda: ResNet([3, 3, 3], [16, 32, 64], "pad"),
    "resnet56": lambda: ResNet([9, 9, 9], [16, 32, 64], "pad"),
    "resnet18": lambda: ResNet([2, 2, 2, 2], [64, 128, 256, 512], "projection"),
    "vgg16": vgg16,
}


def torchvision_classifier(name):
    """One of torchvision's classifiers, with random weights."""
    import torchvision

    # GoogLeNet alone trains with outputs besides its logits.
    extras = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    return getattr(torchvision.models, name)(num_classes=CLASSES, **extras)


class DecomposedConv2d(nn.Module):
    """
    A convolution whose kernels are coefs [K*C, d] times basis [d, R*S], from the uncentred SVD; the dense
    weight is made anew in every step.
    """

    def __init__(self, conv, d):
        super().__init__()
        weight = conv.weight.detach()
        rows = weight.reshape(-1, weight.shape[2] * weight.shape[3])
        u, s, vh = torch.linalg.svd(rows, full_matrices=False)
        self.coefs = nn.Parameter((u[:, :d] * s[:d]).contiguous())
        self.basis = nn.Parameter(vh[:d].contiguous())
        self.bias = conv.bias
        self.shape = weight.shape
        self.stride = conv.stride
        self.padding = conv.padding
        self.dilation = conv.dilation
        self.groups = conv.groups

    def forward(self, x):
        weight = (self.coefs @ self.basis).view(self.shape)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


def decompose(model, d):
    """Gives every convolution with kernels larger than 1x1 its own basis, in place; not depthwise ones."""
    for name, child in model.named_children():
        if isinstance(child, nn.Conv2d) and child.kernel_size != (1, 1) and child.groups < child.in_channels:
            setattr(model, name, DecomposedConv2d(child, d))
        else:
            decompose(child, d)
    return model


def decomposed_layers(model):
    return [module for module in model.modules() if isinstance(module, DecomposedConv2d)]


def train_phase(model, phase):
    """The paper's phases: "coefficients" or "bases" train, the other ones are fixed; all else always trains."""
    for layer in decomposed_layers(model):
        layer.coefs.requires_grad_(phase == "coefficients")
        layer.basis.requires_grad_(phase == "bases")
