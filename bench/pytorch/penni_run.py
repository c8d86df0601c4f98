"""
The PyTorch side of `npm run bench:run`: PENNI's published procedure on ResNet-20 and CIFAR-10, written from the
description of the method. Kernels are decomposed by SVD; coefficients and bases take turns, with an L1
subgradient on the coefficients and the dense weights reconstructed in every step; coefficients below one
standard deviation of their layer are pruned, and the rest is fine-tuned with the zeros held at zero.

Prints one line of JSON after every epoch and a last one with the totals.
"""

import argparse
import gzip
import json
import pathlib
import queue
import threading
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn

from networks import NETWORKS, DecomposedConv2d, decompose, decomposed_layers, train_phase

MEAN = numpy.array([0.485, 0.456, 0.406], dtype=numpy.float32).reshape(1, 3, 1, 1)
STD = numpy.array([0.229, 0.224, 0.225], dtype=numpy.float32).reshape(1, 3, 1, 1)
RECORD = 1 + 3 * 32 * 32
PADDING = 4
PHASES = ("coefficients", "bases")
EVALUATION_BATCH = 500


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="folder of CIFAR-10 in its binary layout, plain or gzipped")
    parser.add_argument("--weights", required=True, help="raw float32 of the trained network")
    parser.add_argument("--result", required=True, help="where to write those of the compressed one")
    parser.add_argument("--basis", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=100)
    parser.add_argument("--fine-tune-epochs", type=float, default=30)
    parser.add_argument("--phase-epochs", type=float, default=2)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--l1", type=float, default=1e-4)
    parser.add_argument("--deviations", type=float, default=1)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--validation", type=float, default=0.05)
    parser.add_argument("--train-limit", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def read_images(folder, names):
    """Images uint8 [N, 3, 32, 32] and labels int64 [N] of official binary batches."""
    parts = []
    for name in names:
        plain = pathlib.Path(folder) / name
        packed = pathlib.Path(folder) / f"{name}.gz"
        content = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
        parts.append(numpy.frombuffer(content, dtype=numpy.uint8).reshape(-1, RECORD))
    records = numpy.concatenate(parts)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(numpy.int64)


def normalise(images):
    return (images.astype(numpy.float32) / 255 - MEAN) / STD


def augment(images, random):
    """A random crop of every image out of its zero-padded form, half of them flipped."""
    count, _, height, width = images.shape
    pads = ((0, 0), (0, 0), (PADDING, PADDING), (PADDING, PADDING))
    padded = numpy.pad(images, pads)
    rows = random.integers(0, 2 * PADDING + 1, (count, 1)) + numpy.arange(height)
    columns = random.integers(0, 2 * PADDING + 1, (count, 1)) + numpy.arange(width)
    flipped = random.random(count) < 0.5
    columns[flipped] = columns[flipped, ::-1]
    image = numpy.arange(count)[:, None, None]
    crops = padded[image, :, rows[:, :, None], columns[:, None, :]]
    return crops.transpose(0, 3, 1, 2)


def training_batches(images, labels, batch, random):
    """One epoch of whole batches, prepared by a thread while the network trains."""
    ready = queue.Queue(maxsize=4)

    def prepare():
        order = random.permutation(len(labels))
        for start in range(0, len(labels) - batch + 1, batch):
            indices = order[start : start + batch]
            values = numpy.ascontiguousarray(normalise(augment(images[indices], random)))
            ready.put((torch.from_numpy(values), torch.from_numpy(labels[indices])))
        ready.put(None)

    threading.Thread(target=prepare, daemon=True).start()
    return iter(ready.get, None)


def accuracy(model, images, labels):
    model.eval()
    hits = 0
    with torch.no_grad():
        for start in range(0, len(labels), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            predicted = model(torch.from_numpy(normalise(images[part]))).argmax(1)
            hits += int((predicted == torch.from_numpy(labels[part])).sum())
    model.train()
    return hits / max(1, len(labels))


def weight_tensors(model):
    """The tensors of a model in the order of bench/pytorch_weights.ts."""
    tensors = []
    for module in model.modules():
        if isinstance(module, DecomposedConv2d):
            tensors += [module.coefs, module.basis]
        elif isinstance(module, nn.BatchNorm2d):
            tensors += [module.weight, module.bias, module.running_mean, module.running_var]
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            tensors += [tensor for tensor in (module.weight, module.bias) if tensor is not None]
    return tensors


def load_weights(model, file):
    values = torch.from_numpy(numpy.fromfile(file, dtype=numpy.float32))
    tensors = weight_tensors(model)
    sizes = [tensor.numel() for tensor in tensors]
    with torch.no_grad():
        for tensor, part in zip(tensors, torch.split(values, sizes)):
            tensor.copy_(part.view(tensor.shape))


def save_weights(model, file):
    parts = [tensor.detach().reshape(-1) for tensor in weight_tensors(model)]
    torch.cat(parts).numpy().tofile(file)


def sparsity(model):
    coefs = torch.cat([layer.coefs.detach().reshape(-1) for layer in decomposed_layers(model)])
    return float((coefs == 0).float().mean())


def prune(model, deviations):
    """Zeroes coefficients below so many standard deviations of their layer; returns the masks."""
    masks = []
    with torch.no_grad():
        for layer in decomposed_layers(model):
            threshold = deviations * layer.coefs.std(unbiased=False)
            mask = (layer.coefs.abs() >= threshold).float()
            layer.coefs.mul_(mask)
            masks.append(mask)
    return masks


class Stage:
    """A stretch of training: rate divided by 10 at 50 % and 75 %, phases taking turns."""

    def __init__(self, name, epochs, l1, masks):
        self.name = name
        self.epochs = epochs
        self.l1 = l1
        self.masks = masks

    def run(self, model, data, options):
        random = numpy.random.default_rng((options.seed, len(self.name)))
        images, labels = data["train"]
        steps_per_epoch = len(labels) // options.batch
        steps = round(self.epochs * steps_per_epoch)
        phase_steps = max(1, round(options.phase_epochs * steps_per_epoch))
        optimizer = torch.optim.SGD(
            model.parameters(), lr=options.lr, momentum=0.9, nesterov=True, weight_decay=1e-4
        )
        step = 0
        while step < steps:
            started = time.perf_counter()
            loss_sum = 0.0
            count = 0
            for batch_images, batch_labels in training_batches(images, labels, options.batch, random):
                if step >= steps:
                    break
                rate = options.lr * 0.1 ** sum(step >= share * steps for share in (0.5, 0.75))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                phase = PHASES[step // phase_steps % 2]
                loss_sum += self.step(model, optimizer, phase, batch_images, batch_labels)
                count += 1
                step += 1
            report = {
                "stage": self.name,
                "step": step,
                "steps": steps,
                "seconds": time.perf_counter() - started,
                "loss": loss_sum / count,
                "sparsity": sparsity(model),
                "validation": accuracy(model, *data["validation"]),
            }
            print(json.dumps(report), flush=True)

    def step(self, model, optimizer, phase, images, labels):
        train_phase(model, phase)
        # Otherwise momentum and weight decay would go on changing what is fixed.
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        layers = decomposed_layers(model)
        if phase == "coefficients" and self.l1 > 0:
            for layer in layers:
                layer.coefs.grad.add_(layer.coefs.detach().sign(), alpha=self.l1)
        optimizer.step()
        if self.masks is not None:
            with torch.no_grad():
                for layer, mask in zip(layers, self.masks):
                    layer.coefs.mul_(mask)
        return loss.item()


def split_validation(images, labels, options):
    """Records lie in random order, so the last ones are as good a sample as any."""
    held = round(options.validation * len(labels))
    end = len(labels) - held
    limit = end if options.train_limit is None else min(end, options.train_limit)
    return {"train": (images[:limit], labels[:limit]), "validation": (images[end:], labels[end:])}


def main():
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = split_validation(
        *read_images(options.data, [f"data_batch_{number}.bin" for number in range(1, 6)]), options
    )
    test = read_images(options.data, ["test_batch.bin"])
    model = NETWORKS["resnet20"]()
    load_weights(model, options.weights)
    original = accuracy(model, *test)
    started = time.perf_counter()
    decompose(model, options.basis)
    model.train()
    seconds = {}
    Stage("retrain", options.epochs, options.l1, None).run(model, data, options)
    seconds["retrain"] = time.perf_counter() - started
    masks = prune(model, options.deviations)
    Stage("fine-tune", options.fine_tune_epochs, 0, masks).run(model, data, options)
    seconds["total"] = time.perf_counter() - started
    save_weights(model, options.result)
    totals = {
        "stage": "done",
        "seconds": seconds["total"],
        "retrainSeconds": seconds["retrain"],
        "original": original,
        "sparsity": sparsity(model),
        "validation": accuracy(model, *data["validation"]),
        "test": accuracy(model, *test),
    }
    print(json.dumps(totals), flush=True)


main()
