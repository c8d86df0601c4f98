"""
One side of `npm run bench:train`: times training steps of a network in PyTorch on the CPU.

    python3 train_step.py NETWORK SIZE BATCH THREADS WARMUP [BASIS PHASE]

NETWORK is one of networks.py, or torchvision:NAME; SIZE the height and width of its images.
Reads a number of steps from each line of stdin, runs them and answers with one line of JSON,
{"milliseconds": [...]}; the first line says that the warm-up is done. With BASIS the network is decomposed
into so many basis kernels per layer, of which PHASE ("coefficients" or "bases") trains one factor.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

from networks import CLASSES, NETWORKS, decompose, torchvision_classifier, train_phase


def answer(value):
    print(json.dumps(value), flush=True)


TORCHVISION = "torchvision:"


def training_step(name, size, batch, basis=None, phase=None):
    if name.startswith(TORCHVISION):
        model = torchvision_classifier(name.removeprefix(TORCHVISION))
    else:
        model = NETWORKS[name]()
    if basis is not None:
        train_phase(decompose(model, int(basis)), phase)
    model.train()
    optimizer = torch.optim.SGD(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=0.01,
        momentum=0.9,
        nesterov=True,
        weight_decay=1e-4,
    )
    images = torch.randn(batch, 3, size, size)
    labels = torch.randint(0, CLASSES, (batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def timed(step):
    start = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - start)


def main():
    name, size, batch, threads, warmup, *factors = sys.argv[1:]
    torch.set_num_threads(int(threads))
    step = training_step(name, int(size), int(batch), *factors)
    answer({"milliseconds": [timed(step) for _ in range(int(warmup))]})
    for line in sys.stdin:
        answer({"milliseconds": [timed(step) for _ in range(int(line))]})


main()
