import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findLowering } from "../../src/compile/lower/registry.js";
import { PENNI_DOMAIN } from "../../src/ops/core/composite.js";
import type { Absence, OpDefinition } from "../../src/ops/core/definition.js";
import { compositeOperators, findOp, standardOperators } from "../../src/ops/inference/registry.js";
import { blockedOperators } from "../../src/train/blocked/pass.js";

/** Every definition that there is, with the domain it is found under. */
const definitions = [
  ...standardOperators.map((op) => ({ op, domain: "" })),
  ...compositeOperators.map((op) => ({ op, domain: PENNI_DOMAIN })),
].map(({ op, domain }) => {
  const definition = findOp({ op, domain });
  assert.ok(definition !== undefined, op);
  return { op, domain, definition };
});

const isAbsent = (facet: object): facet is Absence => "absent" in facet;

/** Who is without a rule. Whoever deletes one has to say so here as well as in the definition. */
const without: Readonly<Record<"gradient" | "channels", readonly string[]>> = {
  gradient: [
    ...["Constant", "ConstantOfShape", "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "GRU"],
    ...["LSTM", "MatMulInteger", "MaxUnpool", "OneHot", "QLinearConv", "QLinearMatMul", "QuantizeLinear"],
    ...["Range", "ReverseSequence", "RoiAlign", "Shape", "Size", "Upsample"],
  ],
  channels: [
    ...["Constant", "ConstantOfShape", "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "EyeLike"],
    ...["MatMulInteger", "Mod", "OneHot", "QLinearConv", "QLinearMatMul", "QuantizeLinear", "Range", "Size"],
  ],
};

/** Operators that multiply by weights. */
const productOperators = [
  ...["Conv", "ConvInteger", "ConvTranspose", "Einsum", "GRU", "Gemm", "LSTM", "MatMul", "MatMulInteger"],
  ...["QLinearConv", "QLinearMatMul"],
];

const notCompiled = ["MaxUnpool", "NonMaxSuppression", "NonZero", "ReverseSequence", "Upsample"];

function namesWhere(domain: string, isWanted: (definition: OpDefinition) => boolean): readonly string[] {
  return definitions
    .filter((each) => each.domain === domain && isWanted(each.definition))
    .map(({ op }) => op)
    .toSorted();
}

describe("every definition", () => {
  test("has a gradient and channels, or is listed here as one without", () => {
    for (const facet of ["gradient", "channels"] as const)
      assert.deepEqual(
        namesWhere("", (definition) => isAbsent(definition[facet])),
        without[facet].toSorted(),
        facet,
      );
  });

  test("counts the multiply-accumulates of weights", () => {
    assert.deepEqual(
      namesWhere("", (definition) => !isAbsent(definition.cost)),
      productOperators.toSorted(),
    );
  });

  test("says why where there is no rule", () => {
    for (const { op, definition } of definitions)
      for (const facet of [definition.gradient, definition.channels, definition.cost, definition.notCompiled])
        if (facet !== undefined && isAbsent(facet)) assert.match(facet.absent, /^[a-z].{10,}$/, op);
  });

  test("has loops in the compiler, itself or what it expands to, or says why not", () => {
    for (const { op, domain, definition } of definitions) {
      const isCompiled = findLowering({ op, domain }) !== undefined || definition.expand !== undefined;
      const wanted = `${op}: either a lowering (src/compile/lower/registry.ts) or expand, or notCompiled with the reason`;
      assert.equal(definition.notCompiled === undefined, isCompiled, wanted);
    }
    assert.deepEqual(
      namesWhere("", (definition) => definition.notCompiled !== undefined),
      notCompiled,
    );
  });

  test("of a composite can be written in standard operators", () => {
    assert.deepEqual(
      namesWhere(PENNI_DOMAIN, (definition) => definition.expand === undefined),
      [],
    );
  });

  test("says whether the training step has a form of it on blocks", () => {
    for (const domain of ["", PENNI_DOMAIN])
      assert.deepEqual(
        namesWhere(domain, ({ onBlocks }) => onBlocks === true),
        blockedOperators(domain).toSorted(),
      );
  });

  test("with a weight trains it and has a cost", () => {
    for (const { op, definition } of definitions) {
      if (definition.weight === undefined) continue;
      assert.ok(definition.constants?.trained.includes(1), op);
      // Where weights are stored as integers, those of each output share a scale.
      assert.equal(typeof definition.scaleAxes?.[1], "function", op);
      assert.equal(definition.constants?.trained.includes(2) ?? false, definition.weight.takesBias, op);
      assert.ok(!isAbsent(definition.cost), op);
    }
  });

  test("calls no input both trained and a setting", () => {
    for (const { op, definition } of definitions) {
      const { trained = [], settings = [] } = definition.constants ?? {};
      assert.deepEqual(
        trained.filter((index) => settings.includes(index)),
        [],
        op,
      );
    }
  });
});
